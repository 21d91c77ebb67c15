/** What is to say of a list: that it could not be told anew, or that it is not all. */
import { Alert, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";

export function ListNote({ error, more }: { error: Error | null; more: boolean }) {
  const { t } = useTranslation("evidence");
  return (
    <div role="status">
      {error && (
        <Alert variant="default" p="xs">
          {t("list.failed", { detail: error.message })}
        </Alert>
      )}
      {more && (
        <Text size="sm" c="dimmed">
          {t("list.more")}
        </Text>
      )}
    </div>
  );
}
