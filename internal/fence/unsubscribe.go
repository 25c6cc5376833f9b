package fence

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"

	"punchcard"
	"punchcard/internal/store"
)

// Settings of the page to unsubscribe.
const (
	settingPublicURL = "public_url"
	settingSecret    = "unsubscribe.secret" //nolint:gosec // the name of a setting
)

// unsubscribePath is where the page is, before the token.
const unsubscribePath = "/u/"

// SetPublicURL says at which address customers reach this deployment: https://rewards.example.com. The links that were made before
// go on working. Without one, unsubscribe_url is empty. The error is CodeInvalid for what is no address.
func SetPublicURL(ctx context.Context, s *store.Store, address string) error {
	address = strings.TrimSuffix(strings.TrimSpace(address), "/")
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return punchcard.Errorf(punchcard.CodeInvalid, "%q is no address: write https://rewards.example.com", address).In("public-url")
	}
	return s.Update(ctx, func(tx *store.Tx) error {
		if _, err := unsubscribeSecret(tx, true); err != nil {
			return err
		}
		return tx.SetSetting(settingPublicURL, address)
	})
}

func unsubscribeSecret(tx *store.Tx, create bool) ([]byte, error) {
	text, err := tx.Setting(settingSecret)
	if err != nil {
		return nil, err
	}
	if text == "" && create {
		text = rand.Text()
		return []byte(text), tx.SetSetting(settingSecret, text)
	}
	return []byte(text), nil
}

// UnsubscribeURL is the address at which a customer can stop everything; "" where SetPublicURL has not been called.
func UnsubscribeURL(tx *store.Tx, customer string) (string, error) {
	address, err := tx.Setting(settingPublicURL)
	if err != nil || address == "" {
		return "", err
	}
	secret, err := unsubscribeSecret(tx, false)
	if err != nil || len(secret) == 0 {
		return "", err
	}
	return address + unsubscribePath + unsubscribeToken(secret, customer), nil
}

// unsubscribeToken names a customer by our opaque id, signed: nobody can make one for somebody else.
func unsubscribeToken(secret []byte, customer string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("unsubscribe\x00" + customer))
	return strings.TrimPrefix(customer, punchcard.PrefixCustomer+"_") + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// UnsubscribeCustomer is the id of the customer that a token names. It answers false for one that we have not made.
func UnsubscribeCustomer(tx *store.Tx, token string) (customer string, ok bool, err error) {
	id, _, found := strings.Cut(token, ".")
	customer = punchcard.PrefixCustomer + "_" + id
	if !found || !punchcard.IsID(punchcard.PrefixCustomer, customer) {
		return "", false, nil
	}
	secret, err := unsubscribeSecret(tx, false)
	if err != nil || len(secret) == 0 {
		return "", false, err
	}
	return customer, hmac.Equal([]byte(unsubscribeToken(secret, customer)), []byte(token)), nil
}
