"use strict";
// The whole app against a stand-in for the archive: no account at Zapier, nothing beyond this machine.
const assert = require("node:assert/strict");
const http = require("node:http");
const { after, before, beforeEach, test } = require("node:test");
const zapier = require("zapier-platform-core");
const schema = require("zapier-platform-schema");
const App = require("../index");
const { EVENTS } = require("../triggers/events");

const run = zapier.createAppTester(App);
const asked = [];
let answer, server, authData;

before(async () => {
  server = http.createServer((request, response) => {
    let body = "";
    request.on("data", (part) => { body += part; });
    request.on("end", () => {
      asked.push({ method: request.method, url: request.url, token: request.headers.authorization, body: body && JSON.parse(body) });
      const [status, content] = answer(request);
      response.writeHead(status, { "Content-Type": "application/json" });
      response.end(content === undefined ? "" : JSON.stringify(content));
    });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  authData = { base_url: `http://127.0.0.1:${server.address().port}/`, token: "acv_test" };
});
after(() => server.close());
beforeEach(() => { asked.length = 0; answer = () => [200, {}]; });

// As the platform writes functions down before it checks a definition.
const written = (app) => JSON.parse(JSON.stringify(app, (key, value) => typeof value === "function" ? "$func$2$f$" : value));

test("the definition is one that Zapier takes, and a broken one would be found", () => {
  assert.deepEqual(schema.validateAppDefinition(written(App)).errors.map(String), []);
  const broken = written(App);
  delete broken.triggers.file_ready.operation.performUnsubscribe;
  broken.triggers.file_ready.operation.inputFields[0].kind = "unheard of";
  assert.notEqual(schema.validateAppDefinition(broken).errors.length, 0);
});

test("the token is tried, and goes to the archive alone", async () => {
  answer = () => [200, { workspace: "Telecom Aurora", name: "Zapier" }];
  const me = await run(App.authentication.test, { authData });
  assert.equal(me.workspace, "Telecom Aurora");
  assert.deepEqual(asked.map(({ url, token }) => [url, token]), [["/api/v1/me", "Bearer acv_test"]]);
});

test("what Acervo says is what people read", async () => {
  answer = () => [401, { title: "no", detail: "Make a new token.", code: "token_invalid" }];
  await assert.rejects(run(App.authentication.test, { authData }), /Make a new token\./);
});

for (const [event, [key]] of Object.entries(EVENTS)) {
  test(`${event}: subscribed, told, sampled, unsubscribed`, async () => {
    const { operation } = App.triggers[key];
    answer = () => [201, { id: "01HOOK", events: [event], secret: "whsec_x" }];
    const kept = await run(operation.performSubscribe, { authData, targetUrl: "https://hooks.zapier.com/1", inputData: { detail: "full" } });
    assert.deepEqual(asked[0].body, { target_url: "https://hooks.zapier.com/1", events: [event], detail: "full", name: "Zapier" });
    assert.equal(kept.secret, undefined);
    const told = { id: "evt_1", type: event, data: {} };
    assert.deepEqual(await run(operation.perform, { authData, cleanedRequest: told }), [told]);
    answer = () => [200, [told]];
    assert.deepEqual(await run(operation.performList, { authData }), [told]);
    answer = () => [204];
    await run(operation.performUnsubscribe, { authData, subscribeData: kept });
    assert.deepEqual(asked.map(({ method, url }) => `${method} ${url.split("?")[0]}`), [
      "POST /api/v1/subscriptions", `GET /api/v1/events/${event}/samples`, "DELETE /api/v1/subscriptions/01HOOK",
    ]);
  });
}

test("a file is found and tagged", async () => {
  answer = (request) => [200, request.method === "GET" ? { items: [{ id: "01FILE" }], next: null } : { media: "01FILE", tags: ["defeito"] }];
  const [file] = await run(App.searches.find_file.operation.perform, { authData, inputData: { q: "luz vermelha", kind: "voice" } });
  const tagged = await run(App.creates.tag_file.operation.perform, { authData, inputData: { media: file.id, names: ["defeito"] } });
  assert.deepEqual(tagged.tags, ["defeito"]);
  assert.deepEqual(asked[1].body, { names: ["defeito"] });
});
