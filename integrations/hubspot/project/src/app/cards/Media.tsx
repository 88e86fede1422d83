// The card on a record: the newest files in words, and a button that opens our panel over the page. HubSpot draws the
// card, fetches for it and signs each fetch; our own page is only in the window that the button opens.

import { useCallback, useEffect, useState } from "react";
import { Button, Divider, Flex, LoadingSpinner, Text, hubspot } from "@hubspot/ui-extensions";

const ADDRESS = "__ACERVO__/embed/__CONNECTION__/fetch";
const WIDTH_PX = 420;
const HEIGHT_PX = 720;
const TIMEOUT_MS = 10_000;

interface MediaFile {
  id: string;
  kind: string;
  text: string;
  received_at: string;
  seconds: number | null;
}

interface Summary {
  state: string;
  message: string;
  total: number;
  files: MediaFile[];
  button: string;
}

interface Refusal {
  title?: string;
  message?: string;
}

interface Context {
  crm: { objectId: number | string; objectTypeId: string };
  user?: { locale?: string };
}

interface Actions {
  openIframeModal: (action: { uri: string; width: number; height: number; title: string; flush?: boolean }) => void;
}

hubspot.extend<"crm.record.sidebar">(({ context, actions }) => (
  <Media context={context as unknown as Context} actions={actions as unknown as Actions} />
));

/** HubSpot adds to the address who asks and from which account, and signs it. */
async function ask<T>({ crm }: Context, wants: Record<string, string> = {}): Promise<T> {
  const query = new URLSearchParams({ objectTypeId: crm.objectTypeId, objectId: String(crm.objectId), ...wants });
  const answer = await hubspot.fetch(`${ADDRESS}?${query}`, { method: "GET", timeout: TIMEOUT_MS });
  const told = await answer.json();
  if (!answer.ok) throw told as Refusal;
  return told as T;
}

function Media({ context, actions }: { context: Context; actions: Actions }) {
  const [summary, setSummary] = useState<Summary>();
  const [trouble, setTrouble] = useState("");
  const [isOpening, setIsOpening] = useState(false);

  const tell = (error: unknown) => setTrouble((error as Refusal)?.message || "Acervo does not answer. Try again in a moment.");

  const load = useCallback(() => {
    setTrouble("");
    ask<Summary>(context).then(setSummary).catch(tell);
  }, [context]);

  useEffect(load, [load]);

  // The link opens once and within a minute, so it is asked for when it is used.
  const open = async () => {
    setIsOpening(true);
    setTrouble("");
    try {
      const { url } = await ask<{ url: string }>(context, { open: "1" });
      actions.openIframeModal({ uri: url, width: WIDTH_PX, height: HEIGHT_PX, title: "WhatsApp", flush: true });
    } catch (error) {
      tell(error);
    } finally {
      setIsOpening(false);
    }
  };

  if (trouble) {
    return (
      <Flex direction="column" gap="small">
        <Text>{trouble}</Text>
        <Button onClick={load}>↻</Button>
      </Flex>
    );
  }
  if (!summary) return <LoadingSpinner label="WhatsApp" />;
  return (
    <Flex direction="column" gap="small">
      {summary.message ? <Text>{summary.message}</Text> : null}
      {summary.files.map((file) => (
        <Flex key={file.id} direction="column" gap="flush">
          <Text format={{ fontWeight: "bold" }}>{`${file.kind}${length(file.seconds)}`}</Text>
          <Text variant="microcopy">{moment(file.received_at, context.user?.locale)}</Text>
          {file.text ? <Text>{file.text}</Text> : null}
          <Divider />
        </Flex>
      ))}
      {summary.total ? (
        <Button onClick={open} disabled={isOpening}>
          {`${summary.button} (${summary.total})`}
        </Button>
      ) : null}
    </Flex>
  );
}

const length = (seconds: number | null) =>
  seconds === null ? "" : ` · ${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

const moment = (at: string, locale?: string) => {
  const wanted = { dateStyle: "medium", timeStyle: "short" } as const;
  try {
    return new Date(at).toLocaleString(locale, wanted);
  } catch {
    return new Date(at).toLocaleString(undefined, wanted);
  }
};
