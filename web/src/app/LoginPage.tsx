/** Asks for the token that `http.token` of the configuration sets. */
import { Alert, Button, Center, Paper, PasswordInput, Stack, Text, Title } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";

import { ApiError } from "../api/client";
import { useLogin } from "../api/queries";
import { LanguageSwitch } from "./LanguageSwitch";
import { Logo } from "./Logo";
import { useTitle } from "./useTitle";

export function LoginPage() {
  const { t } = useTranslation();
  useTitle(t("login.title"));
  const [token, setToken] = useState("");
  const login = useLogin();
  const refused = login.error instanceof ApiError && [400, 401, 403, 422].includes(login.error.status);
  const limited = login.error instanceof ApiError && login.error.status === 429;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    login.mutate(token.trim());
  };
  return (
    <Center mih="100dvh" p="md">
      <Paper withBorder p="xl" w={380} maw="100%" component="main">
        <form onSubmit={submit}>
          <Stack>
            <Stack gap={4} align="center">
              <Logo size={44} />
              <Title order={1} size="h3">
                {t("login.title")}
              </Title>
              <Text size="sm" c="dimmed" ta="center">
                {t("login.text")}
              </Text>
            </Stack>
            {login.error && (
              <Alert color="red">
                {t(refused ? "login.refused" : limited ? "login.limited" : "login.failed")}
              </Alert>
            )}
            <PasswordInput
              label={t("login.token")}
              value={token}
              onChange={(event) => setToken(event.currentTarget.value)}
              error={refused}
              autoComplete="current-password"
              data-autofocus
              required
              visibilityToggleButtonProps={{ "aria-label": t("login.show") }}
            />
            <Button type="submit" fullWidth loading={login.isPending} disabled={token.trim() === ""}>
              {t("login.submit")}
            </Button>
            <LanguageSwitch />
          </Stack>
        </form>
      </Paper>
    </Center>
  );
}
