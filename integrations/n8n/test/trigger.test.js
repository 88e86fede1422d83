"use strict";
// The node as n8n calls it, with a context of ours in n8n's place.
const assert = require("node:assert/strict");
const { createHmac } = require("node:crypto");
const { test } = require("node:test");
const { AcervoTrigger } = require("../nodes/AcervoTrigger/AcervoTrigger.node");
const { isOurs } = require("../nodes/AcervoTrigger/verify");

const SECRET = `whsec_${Buffer.from("a secret of thirty-two bytes, ok").toString("base64")}`;
const BODY = '{"id":"evt_1","type":"media.ready","data":{}}';

function signed(secret, body, stamp = Math.floor(Date.now() / 1000)) {
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  const value = createHmac("sha256", key).update(`evt_1.${stamp}.${body}`).digest("base64");
  return { "webhook-id": "evt_1", "webhook-timestamp": String(stamp), "webhook-signature": `v1,AAAA v1,${value}` };
}

function context({ answer = () => ({}), kept = {}, headers = {}, body = BODY } = {}) {
  const asked = [];
  return {
    asked, kept, said: {},
    getWorkflowStaticData: () => kept,
    getNodeWebhookUrl: () => "https://n8n.example.com/webhook/1",
    getNodeParameter: (name) => ({ events: ["media.ready"], detail: "full" })[name],
    getCredentials: async () => ({ baseUrl: "https://acervo.example.com/", token: "acv_x" }),
    getRequestObject: () => ({ rawBody: Buffer.from(body) }),
    getHeaderData: () => headers,
    getBodyData: () => JSON.parse(body),
    getResponseObject() { return { status: (code) => { this.said.status = code; return { end() {} }; } }; },
    helpers: {
      returnJsonArray: (items) => items.map((json) => ({ json })),
      async httpRequestWithAuthentication(name, request) { asked.push(`${request.method} ${request.url}`); return answer(request); },
    },
  };
}
const gone = () => { throw Object.assign(new Error("no"), { httpCode: "404" }); };

test("it subscribes, finds itself again, and unsubscribes", async () => {
  const { default: methods } = new AcervoTrigger().webhookMethods;
  const one = context({ answer: ({ method }) => method === "POST" ? { id: "01HOOK", secret: SECRET } : { state: "live" } });
  assert.equal(await methods.checkExists.call(one), false);
  await methods.create.call(one);
  assert.deepEqual(one.kept, { id: "01HOOK", secret: SECRET, url: "https://n8n.example.com/webhook/1" });
  assert.equal(await methods.checkExists.call(one), true);
  await methods.delete.call(one);
  assert.deepEqual(one.kept, {});
  assert.deepEqual(one.asked, [
    "POST https://acervo.example.com/api/v1/subscriptions",
    "GET https://acervo.example.com/api/v1/subscriptions/01HOOK",
    "DELETE https://acervo.example.com/api/v1/subscriptions/01HOOK",
  ]);
});

test("one that ended over there is made anew", async () => {
  const { default: methods } = new AcervoTrigger().webhookMethods;
  const kept = { id: "01HOOK", secret: SECRET, url: "https://n8n.example.com/webhook/1" };
  assert.equal(await methods.checkExists.call(context({ kept, answer: () => ({ state: "ended" }) })), false);
  assert.equal(await methods.checkExists.call(context({ kept, answer: gone })), false);
  assert.equal(await methods.delete.call(context({ kept, answer: gone })), true);
});

test("a signed message starts the workflow, any other is turned away", async () => {
  const node = new AcervoTrigger();
  const good = context({ kept: { secret: SECRET }, headers: signed(SECRET, BODY) });
  assert.deepEqual(await node.webhook.call(good), { workflowData: [[{ json: JSON.parse(BODY) }]] });
  const old = signed(SECRET, BODY, 1_700_000_000);
  for (const [headers, body] of [[signed(SECRET, "{}"), BODY], [{}, BODY], [old, BODY], [signed("whsec_AAAA", BODY), BODY]]) {
    const bad = context({ kept: { secret: SECRET }, headers, body });
    assert.deepEqual(await node.webhook.call(bad), { noWebhookResponse: true });
    assert.equal(bad.said.status, 401);
  }
});

test("of two signatures one is enough", () => {
  assert.equal(isOurs(SECRET, signed(SECRET, BODY), BODY), true);
});
