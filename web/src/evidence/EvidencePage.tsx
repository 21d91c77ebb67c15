/** What was marked, kept and taken away: bookmarks, evidence locks, exports. */
import { Container, Tabs, Title } from "@mantine/core";
import { IconBookmark, IconFileExport, IconLock } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { useNavigate, useParams } from "react-router";

import { useCameras } from "../api/queries";
import { useTitle } from "../app/useTitle";
import { BookmarksPanel } from "../bookmarks/BookmarksPanel";
import { ExportsPanel } from "../exports/ExportsPanel";
import { LocksPanel } from "./LocksPanel";

const TABS = ["bookmarks", "locks", "exports"] as const;

export function EvidencePage() {
  const { t } = useTranslation("evidence");
  const { tab } = useParams();
  const navigate = useNavigate();
  const { cameras } = useCameras();
  const shown = TABS.find((name) => name === tab) ?? "bookmarks";
  useTitle(t(`tab.${shown}`));
  return (
    <Container size="xl" py="md">
      <Title order={1} size="h3" mb="sm">
        {t("title")}
      </Title>
      <Tabs value={shown} onChange={(name) => void navigate(`/evidence/${name ?? ""}`)} keepMounted={false}>
        <Tabs.List mb="md">
          <Tabs.Tab value="bookmarks" leftSection={<IconBookmark size={16} aria-hidden />}>
            {t("tab.bookmarks")}
          </Tabs.Tab>
          <Tabs.Tab value="locks" leftSection={<IconLock size={16} aria-hidden />}>
            {t("tab.locks")}
          </Tabs.Tab>
          <Tabs.Tab value="exports" leftSection={<IconFileExport size={16} aria-hidden />}>
            {t("tab.exports")}
          </Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="bookmarks">
          <BookmarksPanel cameras={cameras} />
        </Tabs.Panel>
        <Tabs.Panel value="locks">
          <LocksPanel cameras={cameras} />
        </Tabs.Panel>
        <Tabs.Panel value="exports">
          <ExportsPanel cameras={cameras} />
        </Tabs.Panel>
      </Tabs>
    </Container>
  );
}
