package rules

import (
	"sort"
	"strings"
)

// Veiled is the Env with what stands for each secret in the secret's place.
func (e *Env) Veiled() *Env {
	if e == nil || len(e.Secrets) == 0 {
		return e
	}
	veiled := *e
	veiled.veiled = true
	veiled.Bound = make(map[string]map[string]any, len(e.Bound))
	for name, values := range e.Bound {
		shown := make(map[string]any, len(values))
		for field, v := range values {
			if text, ok := v.(string); ok {
				if mask, secret := e.Secrets[text]; secret {
					v = mask
				}
			}
			shown[field] = v
		}
		veiled.Bound[name] = shown
	}
	return &veiled
}

// copied is a code as WhatsApp's button copies it: it takes letters and digits only, and no till minds that our own codes' hyphens are
// gone.
func (e *Env) copied(code string) string {
	if e == nil {
		return code
	}
	if _, ours := e.Secrets[code]; ours {
		return strings.ReplaceAll(code, "-", "")
	}
	return code
}

// Veil hides the secrets that stand in a text.
func (e *Env) Veil(text string) string {
	if e == nil || len(e.Secrets) == 0 {
		return text
	}
	secrets := make([]string, 0, len(e.Secrets))
	for s := range e.Secrets {
		if s != "" {
			secrets = append(secrets, s)
		}
	}
	// The longest first: one may be a part of another.
	sort.Slice(secrets, func(i, j int) bool { return len(secrets[i]) > len(secrets[j]) })
	pairs := make([]string, 0, 2*len(secrets))
	for _, s := range secrets {
		pairs = append(pairs, s, e.Secrets[s])
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// unreadable is what a text is shown as that cannot be filled in without its secrets.
const unreadable = "•••"

// Shown is a text as it may be shown to others than the customer: it is filled in with what stands for the secrets. fill fills it in.
func (e *Env) Shown(fill func(*Env) (string, error)) string {
	if e == nil || len(e.Secrets) == 0 {
		text, err := fill(e)
		if err != nil {
			return unreadable
		}
		return text
	}
	text, err := fill(e.Veiled())
	if err != nil {
		return unreadable
	}
	return e.Veil(text)
}
