/** What signatures say of the recording that is shown, what that claims, and how to check it without this system. */
import { Alert, Button, Code, Loader, Popover, Stack, Text, Title } from "@mantine/core";
import { IconRefresh, IconShieldX } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";

import type { VerifiedSegment } from "../api/evidenceTypes";
import { useFormat } from "../i18n/format";
import { VerdictFace } from "./Badge";
import classes from "./evidence.module.css";
import type { PictureVerification } from "./useVerification";
import { fingerprintText, TONES, verdictOf } from "./verdict";

export function VerifiedBadge({ verification }: { verification: PictureVerification }) {
  const { t } = useTranslation("evidence");
  const { segment, error } = verification;
  if (segment === null) return null;
  const verdict = segment && verdictOf(segment);
  return (
    <Popover width={380} position="bottom-start" withArrow shadow="md" trapFocus returnFocus>
      <Popover.Target>
        <button
          type="button"
          className={classes.badge}
          data-testid="verified-badge"
          data-verdict={verdict ?? (error ? "unknown" : "checking")}
          data-tone={verdict ? TONES[verdict] : "plain"}
        >
          {verdict ? (
            <VerdictFace verdict={verdict}>{t(`verdict.${verdict}.name`)}</VerdictFace>
          ) : error ? (
            t("badge.unknown")
          ) : (
            <>
              <Loader size={11} color="currentColor" aria-hidden />
              {t("badge.checking")}
            </>
          )}
        </button>
      </Popover.Target>
      <Popover.Dropdown>
        {segment ? (
          <Explanation segment={segment} onAgain={verification.again} />
        ) : (
          <Text size="sm">{error ? t("badge.unknownText", { detail: error.message }) : t("badge.checkingText")}</Text>
        )}
      </Popover.Dropdown>
    </Popover>
  );
}

function Explanation({ segment, onAgain }: { segment: VerifiedSegment; onAgain: () => void }) {
  const { t } = useTranslation("evidence");
  const verdict = verdictOf(segment);
  const signed = verdict === "verified" || verdict === "recovered";
  return (
    <Stack gap="xs" data-testid="verified-explanation">
      <Title order={2} size="h6">
        {t(`verdict.${verdict}.title`)}
      </Title>
      <Text size="sm">{t(`verdict.${verdict}.text`)}</Text>
      {segment.detail !== "" && (
        <Text size="sm" c={TONES[verdict] === "alarm" ? "red" : "dimmed"}>
          {segment.detail}
        </Text>
      )}
      {segment.follows === false && (
        <Alert color="yellow" p="xs">
          {t("badge.follows")}
        </Alert>
      )}
      <Facts segment={segment} />
      {signed && (
        <Text size="xs" c="dimmed">
          {t("badge.notClaimed")} {t("badge.age")}
        </Text>
      )}
      <Text size="xs" c="dimmed">
        {t("badge.independent")} <Code>vms verify FILE.mp4 --key PUBLIC_KEY.pem</Code>
      </Text>
      <Button size="compact-xs" variant="default" leftSection={<IconRefresh size={14} aria-hidden />} onClick={onAgain}>
        {t("badge.again")}
      </Button>
    </Stack>
  );
}

function Facts({ segment }: { segment: VerifiedSegment }) {
  const { t } = useTranslation("evidence");
  const format = useFormat();
  const { start, end, node, signed_at: signedAt, key_fingerprint: fingerprint } = segment;
  const facts: [string, string | null][] = [
    [t("fact.recording"), `${format.dateTime(Date.parse(start))} – ${format.time(Date.parse(end))}`],
    [t("fact.node"), node],
    [t("fact.signedAt"), signedAt && format.dateTime(Date.parse(signedAt))],
  ];
  return (
    <dl className={classes.facts}>
      {facts.map(
        ([name, value]) =>
          value !== null && (
            <div key={name} style={{ display: "contents" }}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
      )}
      {fingerprint !== null && (
        <>
          <dt>{t("fact.key")}</dt>
          <dd className={classes.fingerprint}>{fingerprintText(fingerprint)}</dd>
        </>
      )}
    </dl>
  );
}

/** That what is shown was changed must not be overlooked. */
export function ChangedAlert({ segment }: { segment: VerifiedSegment | null | undefined }) {
  const { t } = useTranslation("evidence");
  if (!segment) return null;
  const verdict = verdictOf(segment);
  if (TONES[verdict] !== "alarm") return null;
  return (
    <Alert
      color="red.9"
      variant="filled"
      icon={<IconShieldX size={20} />}
      title={t(`verdict.${verdict}.title`)}
      p="xs"
      role="alert"
      data-testid="changed-alert"
      style={{ flexShrink: 0 }}
    >
      <Text size="sm">{t(`verdict.${verdict}.text`)}</Text>
      {segment.detail !== "" && <Text size="sm">{segment.detail}</Text>}
    </Alert>
  );
}
