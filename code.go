package punchcard

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
	"unicode"
)

// What a code may be long, in letters and digits. WhatsApp's copy button takes 15 characters (its template page; the changelog of
// 3 December 2025 says 20); fewer than 4 are guessed at the till.
const (
	MinCode = 4
	MaxCode = 15
)

// NormalizeCode gives a code as it is looked up, from what a till or a person typed or copied: upper case, no spaces or hyphens of any
// kind (phones make one of another), and none of the marks that nobody sees and copying brings along.
func NormalizeCode(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.In(r, unicode.Pd, unicode.Cf), r == '−':
			return -1
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		default:
			return r
		}
	}, s)
}

// IsCode tells whether s, as NormalizeCode gives it, may be a code: 4 to 15 letters and digits.
func IsCode(s string) bool {
	if len(s) < MinCode || len(s) > MaxCode {
		return false
	}
	for _, r := range s {
		if (r < 'A' || r > 'Z') && (r < '0' || r > '9') {
			return false
		}
	}
	return true
}

// MaxIssuedCode is how many characters a code of another system has at most: it may be longer than WhatsApp's copy button takes.
const MaxIssuedCode = 64

// IssuedCode is what another system answered that was asked for the code of a grant.
type IssuedCode struct {
	Code      string
	ExpiresAt *time.Time // until when it can be used; nil: the reward says
}

// IsIssuedCode tells whether s may be a code of another system: at most 64 visible ASCII characters, of which 4 at least stay when it is
// looked up.
func IsIssuedCode(s string) bool {
	return len(s) <= MaxIssuedCode && len(NormalizeCode(s)) >= MinCode && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// shownOfCode is how many characters of a code may be shown to whom it does not belong.
const shownOfCode = 4

// MaskCode hides a code but for its end. A short one is hidden whole, and more than half of any.
func MaskCode(code string) string {
	r := []rune(code)
	shown := shownOfCode
	if len(r) < 2*shownOfCode {
		shown = len(r) / 4
	}
	return strings.Repeat("•", len(r)-shown) + string(r[len(r)-shown:])
}

// codeAlphabet has no letter that is easily taken for another or for a digit: no I, L, O, U, 0 or 1.
const codeAlphabet = "ABCDEFGHJKMNPQRSTVWXYZ23456789"

// DefaultCodeFormat is the form of codes that a reward does not say the form of: nine random letters, 30^9 possibilities, and the
// check letter.
const DefaultCodeFormat = "??????????"

// MinCodePlaces is how many places a format leaves to chance, the check letter included: 30^7 possibilities are 21,000 for each
// code of a reward that gave away a million of them, and tills are throttled.
const MinCodePlaces = 8

// CheckCodeFormat tells what is wrong with a format of codes, such as BB-????-????: letters, digits and hyphens that stand for
// themselves, and a question mark for each letter that is drawn. The last of these is the check letter.
func CheckCodeFormat(format string) error {
	places := strings.Count(format, "?")
	switch {
	case len(format) > MaxCode:
		return fmt.Errorf("a code has at most %d characters: WhatsApp's copy button takes no more", MaxCode)
	case strings.ContainsFunc(format, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '?'
	}):
		return errors.New("a format is made of A to Z, 0 to 9, hyphens, and ? for each letter that is drawn: BB-????-????")
	case strings.HasPrefix(format, "-") || strings.HasSuffix(format, "-") || strings.Contains(format, "--"):
		return errors.New("a hyphen stands between letters")
	case places < MinCodePlaces:
		return fmt.Errorf("a format has at least %d question marks: with fewer, codes can be guessed", MinCodePlaces)
	}
	return nil
}

// NewCode makes a code that nobody can guess, in a format that CheckCodeFormat accepts; "" is DefaultCodeFormat. Its last drawn
// letter is a check: one mistyped or swapped letter is noticed.
func NewCode(format string) (string, error) {
	if format == "" {
		format = DefaultCodeFormat
	}
	code := []byte(format)
	var drawn []byte
	last := strings.LastIndexByte(format, '?')
	for i, c := range code {
		switch {
		case c != '?':
		case i == last:
			code[i] = checkLetter(drawn)
		default:
			n, err := rand.Int(rand.Reader, big.NewInt(int64(len(codeAlphabet))))
			if err != nil {
				return "", fmt.Errorf("no randomness for a code: %w", err)
			}
			code[i] = codeAlphabet[n.Int64()]
			drawn = append(drawn, code[i])
		}
	}
	return string(code), nil
}

// FitsFormat tells whether a code that a person typed can have been made in a format: what stands for itself is there, and the
// check letter is right. A code that does not fit was mistyped.
func FitsFormat(code, format string) bool {
	if format == "" {
		format = DefaultCodeFormat
	}
	code, format = NormalizeCode(code), NormalizeCode(format)
	if len(code) != len(format) {
		return false
	}
	var drawn []byte
	for i := range len(code) {
		switch {
		case format[i] != '?':
			if code[i] != format[i] {
				return false
			}
		case strings.IndexByte(codeAlphabet, code[i]) < 0:
			return false
		default:
			drawn = append(drawn, code[i])
		}
	}
	last := len(drawn) - 1
	return last >= 0 && drawn[last] == checkLetter(drawn[:last])
}

// checkLetter weighs each letter by its place. The weights are units of 30 wherever a single letter's change must show; the
// alphabet's size is not prime, so a swap of two letters 15 apart in the alphabet can slip through.
func checkLetter(code []byte) byte {
	weights := []int{1, 7, 11, 13, 17, 19, 23, 29}
	sum := 0
	for i, c := range code {
		sum += strings.IndexByte(codeAlphabet, c) * weights[i%len(weights)]
	}
	return codeAlphabet[sum%len(codeAlphabet)]
}
