package rules

import "slices"

// The grammar of steps: for each kind, what stands under its own key and which options may stand beside it.

var (
	withOption    = may("with", values, "What is handed over, by name")
	asOption      = may("as", aName, "The name under which later steps see the result")
	ifOption      = may("if", anExpr, "The step is passed over unless this holds")
	timeoutOption = must("timeout", aDuration, "How long at most")
	onTimeout     = may("on_timeout", someSteps, "What happens when the time is over")
	onNotSent     = may("on_not_sent", someSteps, "What happens when the message may not go or cannot be delivered")
	notNow        = may("not_now", enum(words(NotNowWait, NotNowSkip, NotNowEnd)...), "What happens when the message may not go now: it waits unless said otherwise")
	within        = may("within", aDuration, "How long it waits at most; then it is not sent. 7d unless said otherwise")
	onRefused     = may("on_refused", someSteps, "What happens when a rule says no")
)

var remindGrammar = keys(
	must("after", aDuration, "How long after the question"),
	must("send", aName, "The template"),
	may("with", mapOf(aText), "What is filled in, by name"),
)

var restartGrammar = keys(
	must("on", aWord, "The event that starts the wait anew"),
	may("where", anExpr, "Which of these events do"),
	may("update", enum("entry"), "The event becomes the run's entry"),
)

var caseGrammar = keys(
	must("if", anExpr, "When this holds"),
	must("do", someSteps, "then this happens"),
)

var otherwiseGrammar = keys(must("otherwise", someSteps, "What happens when no case holds"))

var armGrammar = keys(
	must("weight", atLeast(1), "Its share, beside those of the others"),
	may("name", aName, "The arm's name; a, b, c … unless said otherwise"),
	must("do", someSteps, "What happens to customers of this arm"),
)

var holdoutGrammar = keys(must("holdout", atLeast(1), "The share that gets nothing: the run ends as holdout"))

var documentGrammar = keys(
	must("url", aText, "Where the file is"),
	must("filename", aText, "What it is called"),
)

var locationGrammar = keys(
	must("latitude", aWord, "North of the equator, in degrees"),
	must("longitude", aWord, "East of Greenwich, in degrees"),
	may("address", aText, "The street and the town"),
)

var choiceGrammar = keys(
	may("reply", aName, "The keyword that a tap says"),
	may("redeem", aName, "The reward that a tap asks for"),
	may("capture", aName, "What a step has given by `as`, and a tap uses"),
	may("title", aText, "What the button shows; the keyword's first word unless said otherwise"),
)

var menuRowGrammar = keys(
	may("id", aName, "What is reported; a keyword's name says that keyword"),
	must("title", aText, "What the row shows"),
	may("description", aText, "A line under it"),
)

var menuGrammar = keys(
	must("button", aText, "What opens the list"),
	must("rows", atMost(maxRows, aMapOf(menuRowGrammar)), "What can be picked"),
)

var untilGrammar = keys(
	must("weekday", enum(weekdays...), "The day"),
	must("at", aClock, "The time, in the customer's zone"),
)

// stepForm is the grammar of one kind of step.
type stepForm struct {
	kind    Kind
	doc     string
	main    form
	options []key
}

// stepForms are the kinds in the order in which people learn them.
var stepForms = []stepForm{
	{KindSend, "Send a template", aName, []key{withTexts, ifOption, notNow, within, onNotSent}},
	{KindSay, "Say something, inside the service window", aText, []key{
		ifOption, notNow, within,
		may("image", aText, "The address of a picture to show; the text is its caption"),
		may("document", aMapOf(documentGrammar), "A file; the text is its caption"),
		may("location", aMapOf(locationGrammar), "A place on the map; the text is its name"),
		may("buttons", atMost(maxChoices, aMapOf(choiceGrammar)), "What can be tapped"),
		may("list", aMapOf(menuGrammar), "What can be picked"),
	}},
	{KindAsk, "Ask by a template and wait for the answer", aName, []key{
		withTexts, ifOption, may("remind", aMapOf(remindGrammar), "A second message while no answer has come"), timeoutOption,
		must("answers", mapOf(someSteps), "What each answer leads to, by keyword; `other` is any other"), onTimeout, notNow, within, onNotSent,
	}},
	{KindWait, "Wait for a time", aDuration, []key{
		ifOption, may("restart_on", aMapOf(restartGrammar), "What starts the wait anew"),
	}},
	{KindWaitUntil, "Wait until a time of day, a weekday or a date", either(aClock, aMapOf(untilGrammar), aValue), []key{
		ifOption, may("at", aClock, "On a date: the time of that day"),
	}},
	{KindWaitFor, "Wait for an event", aWord, []key{
		ifOption, may("where", anExpr, "Which of these events count"), timeoutOption, onTimeout,
	}},
	{KindCollect, "Wait for several events", aWord, []key{
		ifOption, may("where", anExpr, "Which of these events count"),
		may("counting_entry", aBool, "The event that started the run is the first"),
		must("until", anExpr, "When they are enough"), timeoutOption, may("each", someSteps, "What happens at each that is not yet enough"),
		onTimeout,
	}},
	{KindChoose, "Go one of several ways", listOf(either(aMapOf(caseGrammar), aMapOf(otherwiseGrammar))), nil},
	{KindSplit, "Divide customers among arms, the same each time", listOf(either(aMapOf(armGrammar), aMapOf(holdoutGrammar))), []key{
		may("name", aName, "Splits of one name in a journey divide alike; the journey's name unless said otherwise"),
	}},
	{KindReward, "Give a reward", aText, []key{asOption, ifOption, onRefused}},
	{KindRedeem, "Hold points for a reward", aText, []key{asOption, ifOption, onRefused}},
	{KindCapture, "Use what a step has granted or held", aName, []key{ifOption, onRefused}},
	{KindRelease, "Give back what redeem holds", aName, []key{ifOption}},
	{KindPoints, "Give points", anExpr, []key{ifOption, may("pending", aDuration, "How long they wait before they can be spent")}},
	{KindConsent, "Record what the customer answered", enum("grant", "refuse", "revoke"), []key{
		ifOption, must("topics", listOf(aName), "On what"),
	}},
	{KindLabel, "Give the customer a label", aName, []key{ifOption}},
	{KindUnlabel, "Take a label from the customer", aName, []key{ifOption}},
	{KindSet, "Set attributes of the customer", values, []key{ifOption}},
	{KindRaise, "Raise an event of the program's own", aWord, []key{withOption, ifOption}},
	{KindApprove, "Let a person decide", aText, []key{
		ifOption, timeoutOption, must("on_rejected", someSteps, "What happens when they say no"),
		must("on_timeout", someSteps, "What happens when nobody decides in time"),
	}},
	{KindHandoff, "Let a person take over", aText, []key{
		ifOption, may("timeout", aDuration, "When automation goes on of itself; 24h unless said otherwise"),
	}},
	{KindCall, "Ask another system", aWord, []key{
		withOption, asOption, ifOption, may("on_failed", someSteps, "What happens when it refuses or does not answer"),
	}},
	{KindStart, "Start another journey", aName, []key{
		may("on", aWord, "By which of its events, where it is entered by several"), withOption, ifOption,
	}},
	{KindAgain, "Go back to the question, so often at most", atLeast(1), nil},
	{KindEnd, "End the run", aName, nil},
}

// withTexts is what a step hands to its template.
var withTexts = may("with", mapOf(aText), "What is filled in, by name")

// formOf is the grammar of a kind of step.
func formOf(kind Kind) (stepForm, bool) {
	i := slices.IndexFunc(stepForms, func(f stepForm) bool { return f.kind == kind })
	if i < 0 {
		return stepForm{}, false
	}
	return stepForms[i], true
}

// object is the grammar of a step as a map: its own key first.
func (f stepForm) object() *object {
	return keys(append([]key{must(string(f.kind), f.main, f.doc)}, f.options...)...)
}
