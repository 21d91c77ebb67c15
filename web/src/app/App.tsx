/** Which page is shown, and whether anyone must sign in before. */
import { Center, Loader } from "@mantine/core";
import { IconMapQuestion, IconPlugConnectedX } from "@tabler/icons-react";
import { lazy, Suspense } from "react";
import { useTranslation } from "react-i18next";
import { BrowserRouter, Link, Route, Routes } from "react-router";

import { useSession } from "../api/queries";
import { GridPage } from "../live/GridPage";
import { EmptyState } from "./EmptyState";
import { ErrorBoundary } from "./ErrorBoundary";
import { LoginPage } from "./LoginPage";
import { Shell } from "./Shell";

// hls.js and the forms come when their page is opened; the wall does not wait for them.
const CameraPage = lazy(() => import("../playback/CameraPage").then((m) => ({ default: m.CameraPage })));
const CamerasPage = lazy(() => import("../cameras/CamerasPage").then((m) => ({ default: m.CamerasPage })));

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
          <Route path="cameras" element={page(<CamerasPage />)} />
          <Route path="cameras/:cameraId" element={page(<CameraPage />)} />
          <Route path="*" element={<NotFound />} />
        </Route>
      </Routes>
    </BrowserRouter>
  );
}
