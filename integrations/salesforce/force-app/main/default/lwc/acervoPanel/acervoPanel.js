import { LightningElement, api } from "lwc";
import language from "@salesforce/i18n/lang";
import getLink from "@salesforce/apex/AcervoPanel.getLink";

const LABELS = {
    en: { title: "WhatsApp", reload: "Load again", wait: "One moment", away: "Acervo does not answer. Try again in a moment." },
    pt: { title: "WhatsApp", reload: "Carregar de novo", wait: "Um momento", away: "O Acervo não responde. Tente de novo daqui a pouco." },
    es: { title: "WhatsApp", reload: "Cargar de nuevo", wait: "Un momento", away: "Acervo no responde. Inténtelo de nuevo en un momento." }
};

/** A customer's files beside the record, in a frame. Apex asks Acervo for a link that opens once, as the user who looks. */
export default class AcervoPanel extends LightningElement {
    @api recordId;
    @api objectApiName;
    address;
    trouble;

    get label() {
        return LABELS[language.slice(0, 2)] || LABELS.en;
    }

    connectedCallback() {
        this.load();
    }

    async load() {
        this.address = this.trouble = undefined;
        try {
            this.address = await getLink({ recordId: this.recordId });
        } catch (error) {
            this.trouble = error?.body?.message || this.label.away;
        }
    }
}
