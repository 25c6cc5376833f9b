package fence

import "punchcard/internal/store"

// contentPath is where a customer's own link to content is, before the token.
const contentPath = "/c/"

// veiledLink is what others see of such a link.
const veiledLink = contentPath + "•••"

// ContentURL is a grant's own link to its content: it leads there for as long as the grant is good. Where SetPublicURL has not been
// called there are no such links, and the content's own address is all there is.
func ContentURL(tx *store.Tx, grant, content string) (string, error) {
	address, err := tx.Setting(settingPublicURL)
	if err != nil || address == "" {
		return content, err
	}
	token, err := tx.LinkToken(grant)
	if err != nil {
		return "", err
	}
	return address + contentPath + token, nil
}
