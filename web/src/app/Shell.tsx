/** The frame around every page: header, notice of a lost connection, footer with the system's health. */
import { IconCpu, IconFingerprint, IconLayoutGrid, IconPlayerPlay, IconSettings } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { Link, NavLink, Outlet } from "react-router";

import { useSite } from "../api/coverage";
import { useAlarms } from "../api/evidenceQueries";
import { useCameras } from "../api/queries";
import type { Session } from "../api/types";
import { AlarmBanner } from "../storage/AlarmBanner";
import { AlarmBell } from "../storage/AlarmBell";
import { ConnectionNotice } from "./ConnectionNotice";
import { HEADER_TOOLS_ID } from "./HeaderTools";
import { Logo } from "./Logo";
import { Menu } from "./Menu";
import classes from "./shell.module.css";

export function Shell({ session }: { session: Session }) {
  const { t } = useTranslation();
  const { cameras, connection } = useCameras();
  const alarms = useAlarms();
  useSite();
  const known = connection !== "lost";
  const live = cameras.filter((camera) => camera.state === "live").length;
  const failed = cameras.filter((camera) => camera.state === "failed").length;
  const unrecorded = cameras.filter((camera) => camera.recording_state === "failed").length;
  return (
    <div className={classes.shell}>
      <header className={classes.header}>
        <a href="#main" className={classes.skip}>
          {t("skip")}
        </a>
        <Link to="/" className={classes.brand} aria-label={t("home")}>
          <Logo size={24} />
          <span className={classes.wide}>VMS</span>
        </Link>
        <nav className={classes.nav} aria-label={t("navigation")}>
          <NavLink to="/" end className={classes.link ?? ""}>
            <IconLayoutGrid size={18} aria-hidden />
            {t("nav.live")}
          </NavLink>
          <NavLink to="/playback" end className={classes.link ?? ""}>
            <IconPlayerPlay size={18} aria-hidden />
            {t("nav.playback")}
          </NavLink>
          <NavLink to="/evidence" className={classes.link ?? ""}>
            <IconFingerprint size={18} aria-hidden />
            {t("nav.evidence")}
          </NavLink>
          <NavLink to="/cameras" end className={classes.link ?? ""}>
            <IconSettings size={18} aria-hidden />
            {t("nav.cameras")}
          </NavLink>
          <NavLink to="/system" end className={classes.link ?? ""}>
            <IconCpu size={18} aria-hidden />
            {t("nav.system")}
          </NavLink>
        </nav>
        <div id={HEADER_TOOLS_ID} className={classes.tools} />
        <AlarmBell alarms={alarms} />
        <Menu session={session} />
      </header>
      <div>
        <ConnectionNotice connection={connection} />
        <AlarmBanner alarms={alarms} />
      </div>
      <main id="main" className={classes.main} tabIndex={-1}>
        <Outlet />
      </main>
      <footer className={classes.footer}>
        {known && (
          <>
            <span className={classes.wide}>{t("health.cameras", { count: cameras.length })}</span>
            <span>{t("health.live", { count: live })}</span>
          </>
        )}
        {known && failed > 0 && <span className={classes.alarm}>{t("health.failed", { count: failed })}</span>}
        {known && unrecorded > 0 && (
          <span className={classes.alarm}>{t("health.unrecorded", { count: unrecorded })}</span>
        )}
        <span data-push>{t("version", { version: session.version })}</span>
      </footer>
    </div>
  );
}
