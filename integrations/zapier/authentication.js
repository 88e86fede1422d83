"use strict";

const base = (bundle) => `${bundle.authData.base_url.trim().replace(/\/+$/, "")}/api/v1`;

const withToken = (request, z, bundle) => {
  // Only to the archive itself: an address that came in data never gets the token.
  if (bundle.authData.token && request.url.startsWith(`${base(bundle)}/`)) {
    request.headers.Authorization = `Bearer ${bundle.authData.token}`;
  }
  return request;
};

// Acervo says in words what happened and what to do; Zapier shows them.
const orExplain = (response, z) => {
  if (response.status < 400) return response;
  let told = {};
  try { told = JSON.parse(response.content); } catch { /* not ours: a proxy, perhaps */ }
  throw new z.errors.Error(told.detail || told.title || "Acervo did not answer as expected.", told.code || "unknown", response.status);
};

const authentication = {
  type: "custom",
  fields: [
    { key: "base_url", label: "Address of your archive", required: true, placeholder: "https://acervo.example.com",
      helpText: "Where you sign in to Acervo. It must be reachable from the internet." },
    { key: "token", label: "API token", type: "password", required: true,
      helpText: "Settings → API tokens, made by an administrator. Scopes: media:read, media:write, people:read, subscriptions:write." },
  ],
  test: async (z, bundle) => (await z.request({ url: `${base(bundle)}/me` })).data,
  connectionLabel: "{{workspace}} ({{name}})",
};

module.exports = { authentication, base, withToken, orExplain };
