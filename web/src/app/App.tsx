/** Which page is shown, and whether anyone must sign in before. */
import { Center, Loader } from "@mantine/core";
import { IconMapQuestion, IconPlugConnectedX } from "@tabler/icons-react";
import { Suspense, useEffect } from "react";
import { useTranslation } from "react-i18next";
import { BrowserRouter, Link, Route, Routes } from "react-router";

import { useSession } from "../api/queries";
import { GridPage } from "../live/GridPage";
import { EmptyState } from "./EmptyState";
import { ErrorBoundary } from "./ErrorBoundary";
import { latePage } from "./latePage";
import { LoginPage } from "./LoginPage";
import { Shell } from "./Shell";

// hls.js and the forms come after the wall, which does not wait for them.
const camera = latePage(() => import("../playback/CameraPage").then((m) => m.CameraPage));
const sync = latePage(() => import("../sync/SyncPage").then((m) => m.SyncPage));
const cameras = latePage(() => import("../cameras/CamerasPage").then((m) => m.CamerasPage));
const evidence = latePage(() => import("../evidence/EvidencePage").then((m) => m.EvidencePage));
const system = latePage(() => import("../system/SystemPage").then((m) => m.SystemPage));
const AHEAD_MS = 5_000;

/** Fetch the other pages when the first has settled: they must open also while the server restarts. */
function useOtherPages(): void {
  useEffect(() => {
    const timer = setTimeout(() => [camera, sync, cameras, evidence, system].forEach((late) => late.fetchAhead()), AHEAD_MS);
    return () => clearTimeout(timer);
  }, []);
}

function Waiting() {
  const { t } = useTranslation();
  return (
    <Center h="100%" mih={200}>
      <Loader aria-label={t("loading")} />
    </Center>
  );
}

function NotFound() {
  const { t } = useTranslation();
  return (
    <EmptyState icon={IconMapQuestion} title={t("notFound.title")} text={t("notFound.text")}>
      <Link to="/">{t("notFound.action")}</Link>
    </EmptyState>
  );
}

function page(element: React.ReactNode) {
  return (
    <ErrorBoundary>
      <Suspense fallback={<Waiting />}>{element}</Suspense>
    </ErrorBoundary>
  );
}

export function App() {
  const { t } = useTranslation();
  const session = useSession();
  useOtherPages();
  if (session.isPending) return <Waiting />;
  if (!session.data) {
    return (
      <Center h="100dvh">
        <EmptyState icon={IconPlugConnectedX} title={t("unreachable.title")} text={t("unreachable.text")} />
      </Center>
    );
  }
  if (session.data.required && !session.data.authenticated) return <LoginPage />;
  return (
    <BrowserRouter>
      <Routes>
        <Route element={<Shell session={session.data} />}>
          <Route index element={page(<GridPage />)} />
          <Route path="playback" element={page(<sync.Page />)} />
          <Route path="cameras" element={page(<cameras.Page />)} />
          <Route path="cameras/:cameraId" element={page(<camera.Page />)} />
          <Route path="evidence/:tab?" element={page(<evidence.Page />)} />
          <Route path="system" element={page(<system.Page />)} />
          <Route path="*" element={<NotFound />} />
        </Route>
      </Routes>
    </BrowserRouter>
  );
}
