import "@mantine/core/styles.css";
import "@mantine/dates/styles.css";
import "@mantine/notifications/styles.css";
import "./app/app.css";

import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { I18nextProvider } from "react-i18next";

import { retryDelay, shouldRetry } from "./api/queries";
import { App } from "./app/App";
import { ErrorBoundary } from "./app/ErrorBoundary";
import { LocaleProvider } from "./app/LocaleProvider";
import { theme } from "./app/theme";
import { i18n } from "./i18n/i18n";

const client = new QueryClient({
  defaultOptions: {
    // A site's network has no internet: the browser's idea of being online says nothing.
    queries: { retry: shouldRetry, retryDelay, networkMode: "always" },
    mutations: { networkMode: "always" },
  },
});

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <I18nextProvider i18n={i18n}>
      <LocaleProvider>
        <MantineProvider theme={theme} defaultColorScheme="dark">
          <Notifications position="bottom-right" />
          <ErrorBoundary>
            <QueryClientProvider client={client}>
              <App />
            </QueryClientProvider>
          </ErrorBoundary>
        </MantineProvider>
      </LocaleProvider>
    </I18nextProvider>
  </StrictMode>,
);
