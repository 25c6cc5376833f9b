package dispatch

import (
	"strconv"
	"strings"
)

// Replies that Punchcard itself has words for. A program's `replies` may have its own under the same names.
const (
	replyMenu       = "menu"        // above the rewards to choose from
	replyNothing    = "nothing"     // the points do not reach for any reward
	replyCannotHave = "cannot_have" // the program has changed since the menu was shown
	replyTopics     = "topics"      // above the topics that can be stopped
	replyNoTopics   = "no_topics"   // there is nothing to stop
	replyStopTopic  = "stop_topic"
	replyKeep       = "keep" // after a stop of everything, above the topics to keep
	replyKept       = "kept"

	replyNoCancel  = "no_cancel"    // there is nothing to give up
	replyCancel    = "cancel_which" // above the redemptions to give up
	replyCancelled = "cancelled"
	replyConfirm   = "use_now"  // before a tap uses a reward
	replyUsed      = "used_now" // after it: what the customer shows
	replyNotUsed   = "not_used" // the customer thought better of it
	replyCannotUse = "cannot_use"
)

var own = map[string]map[string]string{
	keywordStop: {
		"en": "You will get no more messages from {business}. Write JOIN if you change your mind.",
		"da": "Du får ikke flere beskeder fra {business}. Skriv JOIN, hvis du fortryder.",
	},
	replyStopTopic: {
		"en": "You will get no more of this from {business}: {topics}. Write STOP to end everything.",
		"da": "Du får ikke mere af dette fra {business}: {topics}. Skriv STOP for at stoppe alt.",
	},
	replyTopics: {
		"en": "What should {business} stop sending you?",
		"da": "Hvad skal {business} holde op med at sende dig?",
	},
	replyNoTopics: {
		"en": "{business} sends you nothing that could be stopped. Write JOIN to begin.",
		"da": "{business} sender dig ikke noget, der kan stoppes. Skriv JOIN for at begynde.",
	},
	replyKeep: {
		"en": "You will get no more messages from {business}. If you only wanted to stop some, choose what you still want to get. STOP ends it any time.",
		"da": "Du får ikke flere beskeder fra {business}. Ville du kun stoppe noget af det, så vælg det, du stadig vil have. STOP afslutter det når som helst.",
	},
	replyKept: {
		"en": "You will still get this from {business}: {topics}. Write STOP to end it.",
		"da": "Du får stadig dette fra {business}: {topics}. Skriv STOP for at stoppe.",
	},
	replyNoCancel: {
		"en": "You have asked for no reward that could be cancelled.",
		"da": "Du har ikke bedt om en belønning, der kan annulleres.",
	},
	replyCancel: {
		"en": "Which one shall we cancel?",
		"da": "Hvilken skal vi annullere?",
	},
	replyCancelled: {
		"en": "{reward} is cancelled. You have {balance} points.",
		"da": "{reward} er annulleret. Du har {balance} point.",
	},
	replyConfirm: {
		"en": "Use {reward} now? Do this at the counter: it can be used once.",
		"da": "Vil du bruge {reward} nu? Gør det ved disken: den kan bruges én gang.",
	},
	replyUsed: {
		"en": "✅ {reward}\nUsed {time}. Show this to the staff.",
		"da": "✅ {reward}\nBrugt {time}. Vis dette til personalet.",
	},
	replyNotUsed: {
		"en": "{reward} is still yours.",
		"da": "{reward} er stadig din.",
	},
	replyCannotUse: {
		"en": "That cannot be used now: {reason}.",
		"da": "Den kan ikke bruges nu: {reason}.",
	},
	replyMenu: {
		"en": "You have {balance} points. What would you like?",
		"da": "Du har {balance} point. Hvad kunne du tænke dig?",
	},
	replyCannotHave: {
		"en": "You cannot have that now: {reason}.",
		"da": "Den kan du ikke få nu: {reason}.",
	},
	replyNothing: {
		"en": "You have {balance} points, which is not enough for a reward yet.",
		"da": "Du har {balance} point. Det rækker ikke til en belønning endnu.",
	},
}

// rowCost is under each reward in the menu.
var rowCost = map[string]string{"en": "{cost} points", "da": "{cost} point"}

// menuButton is what opens the list of rewards.
var menuButton = map[string]string{"en": "Rewards", "da": "Belønninger"}

// useButton and keepButton are what a customer is asked before a tap uses a reward.
var (
	useButton  = map[string]string{"en": "Use now", "da": "Brug nu"}
	keepButton = map[string]string{"en": "Not now", "da": "Ikke nu"}
)

// topicsButton is what opens the list of topics, and rowEverything its last row.
var (
	topicsButton  = map[string]string{"en": "Topics", "da": "Emner"}
	rowEverything = map[string]string{"en": "Everything", "da": "Alt"}
)

func businessIn(words, business string) string {
	return strings.ReplaceAll(words, "{business}", business)
}

func ownWords(kind, language, fallback, business string, balance int64) string {
	return strings.NewReplacer("{business}", business, "{balance}", strconv.FormatInt(balance, 10)).
		Replace(inLanguage(own[kind], language, fallback))
}

// inLanguage picks the wording in the customer's language, else in the program's, else in English.
func inLanguage(wordings map[string]string, language, fallback string) string {
	for _, l := range []string{language, fallback, "en"} {
		base, _, _ := strings.Cut(strings.ReplaceAll(l, "_", "-"), "-")
		if w, ok := wordings[base]; ok {
			return w
		}
	}
	return ""
}
