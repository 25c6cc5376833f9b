package simulator

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// words are what the phone page says, by language and key. Every language has every key.
var words = map[string]map[string]string{
	"en": {
		"language": "English", "phones": "Phones", "search": "Search", "search_people": "Search people", "nobody": "Nobody is called that.",
		"people": "People", "the_time": "The time is", "speed": "times as fast as real time", "ui_language": "Language of the phone",
		"add": "Add", "add_phone": "Add a phone", "phone_number": "Phone number", "name": "Name",
		"choose": "Choose a phone, or add one, and write to %s.", "you_are": "You are the customer",
		"all_phones": "All phones", "on_phone": "on the phone of %s", "messages": "Messages", "message": "Message", "send": "Send", "you": "You",
		"unread": "unread", "earlier": "Earlier messages", "typing": "typing…", "menu": "Menu", "actions": "Actions for this message",
		"sent": "sent", "delivered": "delivered", "read": "read", "edited": "Edited", "deleted_mine": "You deleted this message",
		"deleted": "This message was deleted", "undelivered": "A message did not reach this phone",
		"attach": "Attach", "photo": "Photo or video", "document": "Document", "audio": "Audio", "location": "Location", "image": "Photo", "video": "Video",
		"sticker": "Sticker", "voice": "Voice message", "contact": "Contact", "contacts": "Contacts", "reaction": "Reaction", "open": "Open", "elsewhere": "shown from %s on a real phone",
		"reply": "Reply", "cancel": "Cancel", "close": "Close", "copy": "Copy text", "copied": "Copied", "code_copied": "Code copied", "edit": "Edit", "save": "Save",
		"delete": "Delete for everyone", "react": "React with", "take_back": "Take the reaction back", "replying": "Replying to", "editing": "Editing your message",
		"place": "Send a location", "latitude": "Latitude", "longitude": "Longitude", "place_name": "Name of the place", "address": "Address",
		"ad": "Arrive from an ad", "ad_hint": "What a tap on a click-to-WhatsApp ad sends: the message and the ad that it came by.",
		"headline": "Headline of the ad", "ad_text": "Text of the ad", "ad_id": "Id of the ad", "from_ad": "Came by an ad", "ad_message": "Hello! I saw your ad.",
		"stop": "Stop offers and announcements", "resume": "Resume offers and announcements", "stopped": "Offers and announcements are stopped",
		"resumed": "Offers and announcements are on again", "block": "Block", "unblock": "Unblock", "report": "Report and block", "block_hint": "Nothing that %s sends reaches this phone any more. WhatsApp does not tell the business.",
		"blocked": "You blocked this business.", "change_number": "Change the number", "number_hint": "The chat moves with you, and the business is told of the new number.", "new_number": "New phone number",
		"ends_in": "Ends in %s", "ended": "Offer ended", "list_title": "Choose one", "saved": "Saved",
		"no_answer": "The simulator does not answer.", "went_wrong": "That did not work.", "sending": "Sending…", "too_large": "The file is too large.",
		"days": "Sunday Monday Tuesday Wednesday Thursday Friday Saturday", "months": "January February March April May June July August September October November December",
		"after_day": "", "after_number": "",
	},
	"da": {
		"language": "Dansk", "phones": "Telefoner", "search": "Søg", "search_people": "Søg efter personer", "nobody": "Ingen hedder det.",
		"people": "Personer", "the_time": "Klokken er", "speed": "gange så hurtigt som virkeligheden", "ui_language": "Telefonens sprog",
		"add": "Tilføj", "add_phone": "Tilføj en telefon", "phone_number": "Telefonnummer", "name": "Navn",
		"choose": "Vælg en telefon, eller tilføj en, og skriv til %s.", "you_are": "Du er kunden",
		"all_phones": "Alle telefoner", "on_phone": "på telefonen hos %s", "messages": "Beskeder", "message": "Besked", "send": "Send", "you": "Dig",
		"unread": "ulæste", "earlier": "Tidligere beskeder", "typing": "skriver…", "menu": "Menu", "actions": "Handlinger for beskeden",
		"sent": "sendt", "delivered": "leveret", "read": "læst", "edited": "Redigeret", "deleted_mine": "Du slettede denne besked",
		"deleted": "Beskeden blev slettet", "undelivered": "En besked nåede ikke frem til telefonen",
		"attach": "Vedhæft", "photo": "Foto eller video", "document": "Dokument", "audio": "Lyd", "location": "Placering", "image": "Foto", "video": "Video",
		"sticker": "Klistermærke", "voice": "Talebesked", "contact": "Kontakt", "contacts": "Kontakter", "reaction": "Reaktion", "open": "Åbn", "elsewhere": "vises fra %s på en rigtig telefon",
		"reply": "Svar", "cancel": "Annuller", "close": "Luk", "copy": "Kopiér tekst", "copied": "Kopieret", "code_copied": "Koden er kopieret", "edit": "Redigér", "save": "Gem",
		"delete": "Slet for alle", "react": "Reagér med", "take_back": "Fjern reaktionen", "replying": "Svarer på", "editing": "Redigerer din besked",
		"place": "Send en placering", "latitude": "Breddegrad", "longitude": "Længdegrad", "place_name": "Stedets navn", "address": "Adresse",
		"ad": "Kom fra en annonce", "ad_hint": "Det, et tryk på en annonce med WhatsApp sender: beskeden og annoncen, den kom fra.",
		"headline": "Annoncens overskrift", "ad_text": "Annoncens tekst", "ad_id": "Annoncens id", "from_ad": "Kom fra en annonce", "ad_message": "Hej! Jeg så jeres annonce.",
		"stop": "Stop tilbud og meddelelser", "resume": "Genoptag tilbud og meddelelser", "stopped": "Tilbud og meddelelser er stoppet",
		"resumed": "Tilbud og meddelelser er slået til igen", "block": "Blokér", "unblock": "Fjern blokering", "report": "Anmeld og blokér", "block_hint": "Intet, som %s sender, når denne telefon mere. WhatsApp fortæller det ikke til virksomheden.",
		"blocked": "Du har blokeret virksomheden.", "change_number": "Skift nummer", "number_hint": "Chatten flytter med, og virksomheden får det nye nummer at vide.", "new_number": "Nyt telefonnummer",
		"ends_in": "Slutter om %s", "ended": "Tilbuddet er slut", "list_title": "Vælg en", "saved": "Gemt",
		"no_answer": "Simulatoren svarer ikke.", "went_wrong": "Det lykkedes ikke.", "sending": "Sender…", "too_large": "Filen er for stor.",
		"days": "søndag mandag tirsdag onsdag torsdag fredag lørdag", "months": "januar februar marts april maj juni juli august september oktober november december",
		"after_day": "", "after_number": ".",
	},
	"de": {
		"language": "Deutsch", "phones": "Telefone", "search": "Suchen", "search_people": "Personen suchen", "nobody": "So heißt niemand.",
		"people": "Personen", "the_time": "Es ist", "speed": "mal so schnell wie die Wirklichkeit", "ui_language": "Sprache des Telefons",
		"add": "Hinzufügen", "add_phone": "Telefon hinzufügen", "phone_number": "Telefonnummer", "name": "Name",
		"choose": "Wähle ein Telefon oder füge eines hinzu, und schreib an %s.", "you_are": "Du bist die Kundschaft",
		"all_phones": "Alle Telefone", "on_phone": "auf dem Telefon von %s", "messages": "Nachrichten", "message": "Nachricht", "send": "Senden", "you": "Du",
		"unread": "ungelesen", "earlier": "Frühere Nachrichten", "typing": "schreibt…", "menu": "Menü", "actions": "Aktionen für diese Nachricht",
		"sent": "gesendet", "delivered": "zugestellt", "read": "gelesen", "edited": "Bearbeitet", "deleted_mine": "Du hast diese Nachricht gelöscht",
		"deleted": "Diese Nachricht wurde gelöscht", "undelivered": "Eine Nachricht hat dieses Telefon nicht erreicht",
		"attach": "Anhängen", "photo": "Foto oder Video", "document": "Dokument", "audio": "Audio", "location": "Standort", "image": "Foto", "video": "Video",
		"sticker": "Sticker", "voice": "Sprachnachricht", "contact": "Kontakt", "contacts": "Kontakte", "reaction": "Reaktion", "open": "Öffnen", "elsewhere": "auf einem echten Telefon von %s gezeigt",
		"reply": "Antworten", "cancel": "Abbrechen", "close": "Schließen", "copy": "Text kopieren", "copied": "Kopiert", "code_copied": "Code kopiert", "edit": "Bearbeiten", "save": "Speichern",
		"delete": "Für alle löschen", "react": "Reagieren mit", "take_back": "Reaktion entfernen", "replying": "Antwort auf", "editing": "Deine Nachricht bearbeiten",
		"place": "Standort senden", "latitude": "Breitengrad", "longitude": "Längengrad", "place_name": "Name des Orts", "address": "Adresse",
		"ad": "Über eine Anzeige kommen", "ad_hint": "Was ein Tippen auf eine WhatsApp-Anzeige sendet: die Nachricht und die Anzeige, über die sie kam.",
		"headline": "Überschrift der Anzeige", "ad_text": "Text der Anzeige", "ad_id": "Id der Anzeige", "from_ad": "Kam über eine Anzeige", "ad_message": "Hallo! Ich habe eure Anzeige gesehen.",
		"stop": "Angebote und Ankündigungen stoppen", "resume": "Angebote und Ankündigungen wieder erhalten", "stopped": "Angebote und Ankündigungen sind gestoppt",
		"resumed": "Angebote und Ankündigungen kommen wieder", "block": "Blockieren", "unblock": "Freigeben", "report": "Melden und blockieren", "block_hint": "Nichts, was %s sendet, erreicht dieses Telefon mehr. WhatsApp sagt es dem Unternehmen nicht.",
		"blocked": "Du hast dieses Unternehmen blockiert.", "change_number": "Nummer ändern", "number_hint": "Der Chat zieht mit um, und das Unternehmen erfährt die neue Nummer.", "new_number": "Neue Telefonnummer",
		"ends_in": "Endet in %s", "ended": "Angebot beendet", "list_title": "Wähle aus", "saved": "Gespeichert",
		"no_answer": "Der Simulator antwortet nicht.", "went_wrong": "Das hat nicht geklappt.", "sending": "Wird gesendet…", "too_large": "Die Datei ist zu groß.",
		"days": "Sonntag Montag Dienstag Mittwoch Donnerstag Freitag Samstag", "months": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
		"after_day": ",", "after_number": ".",
	},
}

// languages are the codes of the languages that the page speaks, English first.
func languages() []string { return []string{"en", "da", "de"} }

// spoken is the first language of an Accept-Language header that the page speaks.
func spoken(accept string) string {
	for part := range strings.SplitSeq(accept, ",") {
		code, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		code, _, _ = strings.Cut(code, "-")
		if code = strings.ToLower(code); slices.Contains(languages(), code) {
			return code
		}
	}
	return "en"
}

// dayName is a day as words: Monday 2 November.
func dayName(lang string, t time.Time) string {
	w := words[lang]
	return strings.Fields(w["days"])[t.Weekday()] + w["after_day"] + " " + strconv.Itoa(t.Day()) + w["after_number"] + " " +
		strings.Fields(w["months"])[t.Month()-1]
}

// momentName is a moment as words: Mon 2 Nov 2026 09:00:00 UTC.
func momentName(lang string, t time.Time) string {
	w := words[lang]
	short := func(s string) string { return string([]rune(s)[:3]) }
	return short(strings.Fields(w["days"])[t.Weekday()]) + w["after_day"] + " " + strconv.Itoa(t.Day()) + w["after_number"] + " " +
		short(strings.Fields(w["months"])[t.Month()-1]) + t.Format(" 2006 15:04:05 MST")
}
