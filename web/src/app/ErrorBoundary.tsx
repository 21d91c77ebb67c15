/** The last resort: a page that broke says so and offers to load again; the rest keeps working. */
import { Button, Code, Stack } from "@mantine/core";
import { IconMoodSad } from "@tabler/icons-react";
import { Component, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { EmptyState } from "./EmptyState";

interface State {
  error: Error | null;
}

export class ErrorBoundary extends Component<{ children: ReactNode }, State> {
  override state: State = { error: null };

  static getDerivedStateFromError(error: Error): State {
    return { error };
  }

  override render(): ReactNode {
    return this.state.error ? <Broken error={this.state.error} /> : this.props.children;
  }
}


export function Broken({ error }: { error: Error }) {
  const { t } = useTranslation();
  return (
    <EmptyState icon={IconMoodSad} title={t("broken.title")} text={t("broken.text")}>
      <Stack align="center">
        <Button onClick={() => location.reload()}>{t("broken.reload")}</Button>
        <Code>{error.message}</Code>
      </Stack>
    </EmptyState>
  );
}
