package rules

// The grammar of program.yaml, rewards.yaml, templates.yaml, segments.yaml and the head of a journey.

var (
	weekdays    = []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
	periods     = []string{"day", "week", "month", "year"}
	categories  = []string{"marketing", "utility", "authentication"}
	rewardKinds = words(RewardDiscountCode, RewardGiftCard, RewardOffer, RewardContent, RewardPoints)
)

var quietGrammar = keys(
	must("from", aClock, "When quiet hours begin, in the customer's own time"),
	must("to", aClock, "When they end; earlier than `from` spans midnight"),
)

var optInGrammar = keys(
	must("on", aWord, "The event that counts as asking to join"),
	may("where", anExpr, "Which of these events count"),
	must("topics", listOf(aName), "What is asked for"),
)

var linkGrammar = keys(
	may("topics", listOf(aName), "What is asked for; otherwise what `opt_in` says of keyword.join"),
	may("text", aWord, "What is written for the customer to send; otherwise the first word of join and the link's name"),
)

var referralGrammar = keys(
	must("word", aWord, "What a friend sends before the code: FRIEND"),
	must("on", aWord, "The event of the friend's that makes it count, the first time"),
	may("where", anExpr, "Which of these events do"),
	may("timeout", aDuration, "How long after the friend came; any time unless said otherwise"),
	may("at_most", atLeast(1), "How many friends of one customer count"),
	may("within", aDuration, "In which time"),
)

var capGrammar = keys(
	may("category", enum("marketing", "utility"), "Which templates are counted; any unless said otherwise"),
	may("topic", aName, "Those of which topic; any unless said otherwise"),
	must("at_most", atLeast(1), "How many"),
	must("within", aDuration, "In which time"),
)

var openingGrammar = keys(
	may("weekdays", listOf(enum(weekdays...)), "On which days; every day unless said otherwise"),
	must("from", aClock, "When somebody is there, in the program's time"),
	must("to", aClock, "Until when; earlier than `from` spans midnight"),
)

var hygieneGrammar = keys(
	may("undeliverable_after", atLeast(1), "How many messages in a row WhatsApp cannot deliver before no more are sent; 5 unless said otherwise"),
	may("unresponsive_after", aDuration, "After how long without a sign of them a customer counts as unresponsive"),
	may("ask_again", aBool, "Then what they agreed to expires, and they are asked once more"),
	may("expire_after", aDuration, "After how long without a sign of them what they agreed to expires"),
)

var earnGrammar = keys(
	must("on", aWord, "The event that earns points"),
	may("where", anExpr, "Which of these events earn"),
	must("points", anExpr, "How many"),
	may("pending", aDuration, "How long they wait before they can be spent"),
	may("at_most", atLeast(1), "How often"),
	may("within", aDuration, "In which time"),
)

var reverseGrammar = keys(
	must("on", aWord, "The event that undoes another: a refund"),
	must("of", aWord, "The event that is undone: the order"),
	must("match", aWord, "The property, of both, by which the one names the other"),
	may("share", anExpr, "How much of it is undone, from 0 to 1; the whole unless said otherwise"),
)

var pointsGrammar = keys(
	may("earn", listOf(aMapOf(earnGrammar)), "What earns points"),
	may("reverse", listOf(aMapOf(reverseGrammar)), "What takes points back"),
	may("expire_after", aDuration, "How long points live"),
	may("grace", aDuration, "How long points live that a redemption gives back after their time; 1d unless said otherwise"),
)

var tiersGrammar = keys(
	must("by", enum("points.earned"), "What tiers are reckoned by"),
	must("within", aDuration, "In which time"),
	must("levels", mapOf(atLeast(0)), "Each tier, and the points from which it is held"),
	may("grace", aDuration, "How long a tier is kept that the points no longer reach; not at all unless said otherwise"),
	may("downgrade", enum("one_level", "drop"), "Then: one level down, with its grace again, or to the tier that the points reach; drop unless said otherwise"),
)

var milestoneGrammar = keys(
	must("name", aName, "The milestone's name"),
	must("of", anExpr, "The number that is watched"),
	may("at", atLeast(1), "Reached once, at this number"),
	may("every", atLeast(1), "Reached at each multiple of this number"),
	may("within", aDuration, "With `at`: what is counted is what came in this time, and it can be reached once in it"),
)

var callGrammar = keys(
	must("url", aWord, "Where the signed request goes: https"),
	may("with", fields, "What a step hands over"),
	may("answers", fields, "What is read of the answer"),
	may("timeout", aDuration, "How long an answer may take, at most 30s; 5s unless said otherwise"),
)

var fraudLimitGrammar = keys(
	must("of", enum(words(LimitRedemptions, LimitCaptures)...), "What is counted: rewards asked for with points, or uses at a till and by a tap"),
	must("by", enum(words(LimitByCustomer, LimitByDevice, LimitByProgram)...), "Whose are counted together: one customer's, one till's, or all"),
	must("at_most", atLeast(1), "How many"),
	must("within", aDuration, "In which time"),
)

var guessesGrammar = keys(
	must("at_most", atLeast(1), "How many unknown codes a till may ask for; an API key as a whole ten times as many"),
	must("within", aDuration, "In which time, by the machine's clock"),
)

var fraudGrammar = keys(
	may("min_age", aDuration, "How long a customer must be known before they can redeem points"),
	may("limits", listOf(aMapOf(fraudLimitGrammar)), "How much is used how fast"),
	may("guesses", aMapOf(guessesGrammar), "When trying out codes is stopped: 10 within 10m unless said otherwise"),
	may("reverse_within", aDuration, "How long a use can be taken back; 1d unless said otherwise"),
)

var programGrammar = keys(
	must("program", aWord, "The program's name"),
	must("business", aWord, "The business's name, as every opt-in request says it"),
	must("privacy_url", aWord, "Its privacy page"),
	must("language", aWord, "The language when the customer's own is not offered"),
	must("timezone", aWord, "The time zone when the customer's own is unknown"),
	must("currency", aWord, "What money is in: EUR"),
	may("marketing_countries", listOf(aWord), "Where marketing may go: [DK, DE]"),
	may("quiet_hours", aMapOf(quietGrammar), "When marketing waits"),
	may("topics", mapOf(aText), "What a customer can agree to hear about"),
	may("opt_in", listOf(aMapOf(optInGrammar)), "What counts as asking to join"),
	may("links", mapOf(aMapOf(linkGrammar)), "Ways in by an address or a QR code"),
	may("referral", aMapOf(referralGrammar), "How customers bring friends"),
	may("on_stop", enum(words(OnStopConfirm, OnStopOfferTopics)...), "What a STOP is answered with, beside that all is stopped"),
	may("ask_again_after", aDuration, "How long after silence or refusal the business may ask again"),
	may("caps", listOf(aMapOf(capGrammar)), "How many messages a customer gets"),
	may("hygiene", aMapOf(hygieneGrammar), "When a customer is no longer written to, or asked anew"),
	must("keywords", mapOf(listOf(aWord)), "Whole messages with a meaning"),
	may("replies", mapOf(aText), "What is answered at once: to a keyword, to a first message (`greeting`), when nobody is there (`away`), `otherwise`"),
	may("opening_hours", listOf(aMapOf(openingGrammar)), "When somebody is there to answer; always unless said otherwise"),
	may("attributes", fields, "What is known of a customer"),
	may("events", mapOf(fields), "What backends report, with the types of its properties"),
	may("calls", mapOf(aMapOf(callGrammar)), "Other systems that steps may ask"),
	may("points", aMapOf(pointsGrammar), "How points are earned and expire"),
	may("tiers", aMapOf(tiersGrammar), "Levels by points"),
	may("fraud", aMapOf(fraudGrammar), "Rules against misuse of rewards"),
	may("milestones", listOf(aMapOf(milestoneGrammar)), "Numbers that raise milestone.reached when they are crossed"),
)

var budgetGrammar = keys(
	must("amount", aNumber, "How much, in the program's currency"),
	may("within", aDuration, "In which time; for good unless said otherwise"),
)

var perCustomerGrammar = keys(
	must("at_most", atLeast(1), "How often"),
	must("within", aDuration, "In which time"),
)

var codesGrammar = keys(
	must("call", aWord, "The call of program.yaml that answers a code for each grant"),
)

var rewardGrammar = keys(
	must("kind", enum(rewardKinds...), "What the reward is"),
	must("title", aText, "What customers call it"),
	may("description", aText, "What it is, in a few words"),
	may("terms", aText, "What applies to it"),
	may("image", aWord, "The address of its picture"),
	may("points", atLeast(1), "kind points: how many"),
	may("url", aWord, "kind content: where it is"),
	may("cost", atLeast(1), "What it costs in points"),
	may("value", aNumber, "What it is worth in the program's currency"),
	may("codes", either(enum("generated", "pool"), aMapOf(codesGrammar)), "Where codes come from"),
	may("format", aWord, "codes: generated: what they look like, with ? for each letter that is drawn: BB-????-????"),
	may("low_stock", atLeast(1), "codes: pool: at how many free codes an alert is raised"),
	may("eligible", anExpr, "Who can have it"),
	may("from", aWord, "The first day on which it is given: 2026-12-01"),
	may("until", aWord, "The last one"),
	may("stock", atLeast(1), "How many there are in all, for good"),
	may("budget", aMapOf(budgetGrammar), "How much all that is given may be worth"),
	may("valid_for", aDuration, "How long a grant can be used"),
	may("per_customer", either(atLeast(1), aMapOf(perCustomerGrammar)), "How often one customer gets it"),
	may("at_most", atLeast(1), "How many in all"),
	may("within", aDuration, "at_most: in which time"),
	may("min_age", aDuration, "How long a customer must be known before they can redeem it, in place of fraud's min_age"),
	may("partial", aBool, "kind gift_card, captured_by till: its value may be used in parts"),
	may("captured_by", aWord, "What uses it: till, tap, delivery, or an event that carries its code"),
)

var rewardsGrammar = keys(must("rewards", mapOf(aMapOf(rewardGrammar)), "The catalog"))

var templateButtonGrammar = keys(
	may("reply", aName, "The keyword that a tap says"),
	may("redeem", aName, "The reward that a tap asks for"),
	may("capture", aName, "The value of the text whose reward a tap uses: code"),
	may("url", aText, "The address that a tap opens; one value may end it"),
	may("phone", aWord, "The number that a tap calls: +4570123456"),
	may("title", aText, "What the button shows"),
	may("copy_code", aWord, "The code that a tap copies: \"{{ code }}\""),
)

var templateLocationGrammar = keys(
	must("latitude", aWord, "North of the equator, in degrees"),
	must("longitude", aWord, "East of Greenwich, in degrees"),
	must("name", aText, "What the place is called"),
	must("address", aText, "The street and the town"),
)

var offerGrammar = keys(
	must("text", aText, "What is offered, in at most 16 characters"),
	may("expires", aWord, "The time to which WhatsApp counts down: \"{{ until }}\""),
)

var templateCardGrammar = keys(
	may("image", aText, "The address of its picture"),
	may("video", aText, "The address of its film"),
	may("body", aText, "Its text"),
	must("buttons", atMost(maxCardButtons, aMapOf(templateButtonGrammar)), "What can be tapped"),
)

var templateGrammar = keys(
	must("category", enum(categories...), "What WhatsApp counts it as"),
	may("asks_consent", aBool, "It may go to someone whose consent is only requested"),
	may("header", aText, "One line above, in which one value may be filled in"),
	may("image", aText, "The address of a picture above"),
	may("video", aText, "The address of a film above"),
	may("document", aMapOf(documentGrammar), "A file above"),
	may("location", aMapOf(templateLocationGrammar), "A place on the map above"),
	may("limited_time_offer", aMapOf(offerGrammar), "An offer with an end, over which WhatsApp counts down"),
	must("body", aText, "The text"),
	may("cards", atMost(maxCards, aMapOf(templateCardGrammar)), "Pictures with buttons, moved sideways"),
	may("footer", aText, "One line below"),
	may("buttons", atMost(maxButtons, aMapOf(templateButtonGrammar)), "What can be tapped"),
)

var templatesGrammar = keys(must("templates", mapOf(aMapOf(templateGrammar)), "Messages that WhatsApp approves"))

var segmentGrammar = keys(
	may("title", aText, "What people call it"),
	must("where", anExpr, "For whom it holds"),
)

var segmentsGrammar = keys(must("segments", mapOf(aMapOf(segmentGrammar)), "Groups of customers"))

var enterEventGrammar = keys(
	must("on", aWord, "The event that starts a run"),
	may("where", anExpr, "Which of these events do"),
	may("key", anExpr, "One live run for each customer and value of this"),
)

var enterScheduleGrammar = keys(
	must("every", enum(periods...), "How often"),
	may("weekday", enum(weekdays...), "every week: the day"),
	may("month", atLeast(1), "every year: the month, 1 to 12"),
	may("day", atLeast(1), "every month or year: the day, 1 to 31"),
	must("at", aClock, "When, in the customer's own time"),
	may("where", anExpr, "For which customers"),
	may("key", anExpr, "One live run for each customer and value of this"),
)

var leaveGrammar = keys(
	must("on", aWord, "The event that ends the run"),
	may("where", anExpr, "Which of these events do"),
	must("end", aName, "The outcome"),
	may("goal", aBool, "The journey has done what it is for"),
	may("value", anExpr, "What that was worth"),
)

var journeyGrammar = keys(
	must("journey", aName, "The journey's name"),
	may("title", aText, "What people call it"),
	may("purpose", enum(string(PurposeConsent), string(PurposeService)), "Why it may write without a topic"),
	may("topic", aName, "What the customer must have agreed to hear about"),
	must("enter", listOf(either(aMapOf(enterEventGrammar), aMapOf(enterScheduleGrammar))), "What starts a run"),
	may("if_running", enum(words(RunningIgnore, RunningRestart, RunningAfter)...), "What an entry does while a run is live"),
	may("again_after", aDuration, "How long after a run's end the next may start"),
	may("leave", listOf(aMapOf(leaveGrammar)), "What ends a run at any moment"),
	must("steps", someSteps, "What happens"),
)

// fileGrammars are the grammars of a program's files, by the name of their JSON Schema.
var fileGrammars = map[string]*object{
	"program": programGrammar, "rewards": rewardsGrammar, "templates": templatesGrammar, "segments": segmentsGrammar,
	"journey": journeyGrammar,
}
