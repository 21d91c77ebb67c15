/** Cameras: list, add, change, remove. */
import { Alert, Button, Center, Container, Group, Loader, Text, Title } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { IconCameraPlus, IconLock } from "@tabler/icons-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import { useCameras } from "../api/queries";
import type { Camera } from "../api/types";
import { EmptyState } from "../app/EmptyState";
import { useTitle } from "../app/useTitle";
import { CameraDialog } from "./CameraDialog";
import { CameraCards, CameraTable } from "./CameraRows";
import { DeleteDialog } from "./DeleteDialog";

type Dialog = { kind: "add" } | { kind: "edit" | "delete"; camera: Camera } | null;

export function CamerasPage() {
  const { t } = useTranslation("cameras");
  useTitle(t("title"));
  const { cameras, loading } = useCameras();
  const [params, setParams] = useSearchParams();
  const [dialog, setDialog] = useState<Dialog>(params.has("add") ? { kind: "add" } : null);
  const wide = useMediaQuery("(min-width: 48em)", true, { getInitialValueInEffect: false });
  const close = () => {
    setDialog(null);
    if (params.has("add")) setParams({}, { replace: true });
  };
  const add = (
    <Button leftSection={<IconCameraPlus size={18} />} onClick={() => setDialog({ kind: "add" })}>
      {t("add")}
    </Button>
  );
  const Rows = wide ? CameraTable : CameraCards;

  return (
    <Container size="xl" py="md" h={cameras.length === 0 ? "100%" : undefined}>
      {loading && (
        <Center h={240}>
          <Loader aria-label={t("loading")} />
        </Center>
      )}
      {!loading && cameras.length === 0 && (
        <EmptyState icon={IconCameraPlus} title={t("empty.title")} text={t("empty.text")}>
          {add}
        </EmptyState>
      )}
      {cameras.length > 0 && (
        <>
          <Group justify="space-between" mb="md">
            <div>
              <Title order={1} size="h3">
                {t("title")}
              </Title>
              <Text c="dimmed" size="sm">
                {t("subtitle")}
              </Text>
            </div>
            {add}
          </Group>
          {cameras.some((camera) => camera.managed_by === "file") && (
            <Alert icon={<IconLock size={18} />} variant="default" mb="md" p="xs">
              {t("managedByFile")}
            </Alert>
          )}
          <Rows
            cameras={cameras}
            onEdit={(camera) => setDialog({ kind: "edit", camera })}
            onDelete={(camera) => setDialog({ kind: "delete", camera })}
          />
        </>
      )}
      {dialog?.kind === "add" && <CameraDialog camera={null} onClose={close} />}
      {dialog?.kind === "edit" && <CameraDialog camera={dialog.camera} onClose={close} />}
      {dialog?.kind === "delete" && <DeleteDialog camera={dialog.camera} onClose={close} />}
    </Container>
  );
}
