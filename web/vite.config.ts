import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const backend = process.env["VMS_URL"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../src/vms/api/web",
    emptyOutDir: true,
    // data: URLs would need a wider content security policy
    assetsInlineLimit: 0,
    // hls.js is one piece of 350 kB, loaded with the camera page alone
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { "/api": backend, "/healthz": backend } },
  test: { include: ["src/**/*.test.{ts,tsx}"], env: { TZ: "America/Sao_Paulo" } },
});
