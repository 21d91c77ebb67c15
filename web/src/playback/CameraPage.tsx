/** The page of one camera: finds it, or says that there is none. */
import { Button, Center, Loader } from "@mantine/core";
import { IconVideoOff } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";

import { useCameras } from "../api/queries";
import { EmptyState } from "../app/EmptyState";
import { CameraView } from "./CameraView";

export function CameraPage() {
  const { t } = useTranslation("playback");
  const { cameraId } = useParams();
  const { cameras, loading } = useCameras();
  const camera = cameras.find((item) => item.id === cameraId);
  if (camera) return <CameraView key={camera.id} camera={camera} cameras={cameras} />;
  if (loading) {
    return (
      <Center h="100%">
        <Loader aria-label={t("loading")} />
      </Center>
    );
  }
  return (
    <EmptyState icon={IconVideoOff} title={t("noCamera.title")} text={t("noCamera.text")}>
      <Button component={Link} to="/cameras">
        {t("noCamera.action")}
      </Button>
    </EmptyState>
  );
}
