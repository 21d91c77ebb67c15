/** Says that the system does not answer: quietly while that may pass by itself, plainly when it lasts. */
import { Loader } from "@mantine/core";
import { IconWifiOff } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";

import type { Connection } from "../api/queries";
import classes from "./shell.module.css";

export function ConnectionNotice({ connection }: { connection: Connection }) {
  const { t } = useTranslation();
  return (
    <div className={classes.notices} role="status" data-testid="connection" data-connection={connection}>
      {connection === "retrying" && (
        <div className={classes.retrying}>
          <Loader size={12} color="currentColor" aria-hidden />
          {t("connection.retrying")}
        </div>
      )}
      {connection === "lost" && (
        <div className={classes.offline} role="alert">
          <IconWifiOff size={18} aria-hidden />
          {t("connection.lost")}
        </div>
      )}
    </div>
  );
}
