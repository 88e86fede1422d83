"use strict";

class AcervoApi {
  name = "acervoApi";
  displayName = "Acervo API";
  documentationUrl = "https://www.standardwebhooks.com";
  properties = [
    { displayName: "Address", name: "baseUrl", type: "string", default: "", placeholder: "https://acervo.example.com", required: true,
      description: "Where you sign in to Acervo" },
    { displayName: "API Token", name: "token", type: "string", typeOptions: { password: true }, default: "", required: true,
      description: "Settings → API tokens, made by an administrator, with the scope subscriptions:write" },
  ];
  authenticate = { type: "generic", properties: { headers: { Authorization: "=Bearer {{$credentials.token}}" } } };
  test = { request: { baseURL: "={{$credentials.baseUrl.replace(/\\/+$/, '')}}/api/v1", url: "/me" } };
}

module.exports = { AcervoApi };
