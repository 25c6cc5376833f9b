package rules

// BuiltinEvents are the events that Punchcard itself raises, beside keyword.<name> for each keyword of a program. A backend
// may not send them, and a program may not declare them.
var BuiltinEvents = map[string]Schema{}

// Schema is the schema of an event, whether the program's own or built in. It answers false for one that is neither.
func (p *Program) Schema(event string) (Schema, bool) { return Schema{}, false }

// Builtin tells whether an event is one that only Punchcard raises.
func (p *Program) Builtin(event string) bool { return false }
