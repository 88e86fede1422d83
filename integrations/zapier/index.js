"use strict";
// Everything the app is made of. Each installation of Acervo has its own address, so the address is a field of the connection.
const { authentication, withToken, orExplain } = require("./authentication");
const { triggers } = require("./triggers/events");
const tagFile = require("./creates/tag_file");
const findFile = require("./searches/find_file");

module.exports = {
  version: require("./package.json").version,
  platformVersion: require("zapier-platform-core").version,
  authentication,
  beforeRequest: [withToken],
  afterResponse: [orExplain],
  triggers,
  creates: { [tagFile.key]: tagFile },
  searches: { [findFile.key]: findFile },
};
