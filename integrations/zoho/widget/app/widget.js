/* global ZOHO */
// Beside a record: a function of ours in this organisation asks Acervo for a link that opens once, as the user who looks.

// How the panel is shown. "navigate": this frame goes there, so that only Zoho's own page has to be allowed in Acervo.
// "inside": in a frame of this one; then the origin of this widget must be allowed in Acervo too.
const SHOWN = "navigate";
const FUNCTION = "acervo_panel";
const HEIGHT_PX = 560;

const said = document.getElementById("said");
const again = document.getElementById("again");

async function open({ Entity, EntityId }) {
  again.hidden = true;
  said.textContent = "…";
  try {
    const record = Array.isArray(EntityId) ? EntityId[0] : EntityId;
    const answer = await ZOHO.CRM.FUNCTIONS.execute(FUNCTION, { arguments: JSON.stringify({ object: Entity, record }) });
    show(JSON.parse(answer.details.output));
  } catch {
    trouble("Acervo: ?");
  }
}

function show(told) {
  if (!told.url) return trouble(told.message);
  if (SHOWN === "navigate") return location.replace(told.url);
  const frame = document.createElement("iframe");
  frame.src = told.url;
  frame.title = "WhatsApp";
  frame.allow = "fullscreen";
  return document.body.replaceChildren(frame);
}

function trouble(words) {
  said.textContent = words || "Acervo: ?";
  again.hidden = false;
}

ZOHO.embeddedApp.on("PageLoad", (record) => {
  ZOHO.CRM.UI.Resize({ height: String(HEIGHT_PX), width: "100%" });
  again.addEventListener("click", () => open(record));
  open(record);
});
ZOHO.embeddedApp.init();
