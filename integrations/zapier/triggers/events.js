"use strict";
// One REST-hook trigger an event. All are made alike: subscribe, unsubscribe, what arrived, and samples for the editor.
const { base } = require("../authentication");

const EVENTS = {
  "media.ready": ["file_ready", "File Ready", "Triggers when a file a customer sent is kept and plays everywhere."],
  "media.transcribed": ["file_transcribed", "File Transcribed", "Triggers when what is said in a file can be read."],
  "media.tagged": ["file_tagged", "File Tagged", "Triggers when tags are put on a file or taken off."],
  "media.delivered": ["file_in_crm", "File in the CRM", "Triggers when a file is on a record of a connected CRM."],
  "media.failed": ["file_failed", "File Needs Somebody", "Triggers when a file could not be had, or a CRM does not take it."],
  "media.stored": ["file_stored", "File Kept", "Triggers when the bytes of a file are kept, before anybody looked at it."],
  "media.erased": ["file_erased", "File Erased", "Triggers when a file was erased: let go of what you keep of it."],
  "consent.changed": ["consent_changed", "Consent Changed", "Triggers when a contact agrees, or does not."],
};
const ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const FILE = {
  id: ID, state: "ready", url: `https://acervo.example.com/m/${ID}`, kind: "voice", mime: "audio/ogg",
  size_bytes: 21874, duration_s: 5.2, direction: "in", sent_at: "2026-11-17T14:32:00.000Z", received_at: "2026-11-17T14:32:00.000Z",
};

const isDetailed = { key: "detail", label: "How much is told", default: "facts", required: true,
  choices: { facts: "Facts only", full: "With contact and content" },
  helpText: "With contact and content: names, numbers, captions and transcripts come to Zapier, too." };

const subscribe = (event) => async (z, bundle) => {
  const response = await z.request({
    method: "POST", url: `${base(bundle)}/subscriptions`,
    body: { target_url: bundle.targetUrl, events: [event], detail: bundle.inputData.detail || "facts", name: "Zapier" },
  });
  const { secret, ...kept } = response.data; // Zapier has no use for it, so it does not keep it
  return kept;
};

const unsubscribe = async (z, bundle) => {
  await z.request({ method: "DELETE", url: `${base(bundle)}/subscriptions/${bundle.subscribeData.id}` });
  return {};
};

const samples = (event) => async (z, bundle) =>
  (await z.request({ url: `${base(bundle)}/events/${event}/samples`, params: { limit: 3 } })).data;

const sampleOf = (event) => ({
  id: `evt_${ID}`, type: event, timestamp: "2026-11-17T14:32:00.000Z", is_sample: true,
  data: event === "consent.changed" ? { person: { id: ID }, consent: "granted" }
    : event === "media.erased" ? { media: { id: ID } } : { media: FILE, person: { id: ID } },
});

const trigger = (event, [key, label, description]) => ({
  key, noun: event === "consent.changed" ? "Consent" : "File",
  display: { label, description },
  operation: {
    type: "hook", inputFields: [isDetailed],
    performSubscribe: subscribe(event), performUnsubscribe: unsubscribe,
    perform: (z, bundle) => [bundle.cleanedRequest], performList: samples(event),
    sample: sampleOf(event),
  },
});

const triggers = Object.fromEntries(
  Object.entries(EVENTS).map(([event, words]) => [words[0], trigger(event, words)]),
);

module.exports = { triggers, EVENTS };
