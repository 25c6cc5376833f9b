package rules

import "strings"

// Link is a way in that the product makes as an address and as a QR code: it opens WhatsApp with Text written already, by which
// a customer's coming is known when they send it.
type Link struct {
	Name   string
	Topics []string // what it asks for; nil: what the program's opt_in says of keyword.join
	Text   string
}

// Link is the link of that name, or nil.
func (p *Program) Link(name string) *Link {
	for i := range p.Links {
		if p.Links[i].Name == name {
			return &p.Links[i]
		}
	}
	return nil
}

// LinkOf is the link whose text a whole message is, as people type it and as phones correct it, spaces or none; nil for none.
func (p *Program) LinkOf(text string) *Link {
	if len(text) > maxString || len(p.Links) == 0 {
		return nil
	}
	heard := unspaced(text)
	for i := range p.Links {
		if heard != "" && unspaced(p.Links[i].Text) == heard {
			return &p.Links[i]
		}
	}
	return nil
}

func unspaced(text string) string { return strings.ReplaceAll(plainMessage(text), " ", "") }

// maxLinkText bounds a link's text, in characters: it stands in an address, and in the field where the customer writes.
const maxLinkText = 100

// links reads the ways in that have an address of their own.
func (c *checker) links(n *node) {
	if n == nil || !c.is(n, mapping) {
		return
	}
	join := c.words("join")
	if len(join) == 0 {
		c.at(n, "links need the keyword join: it is what somebody who follows one says")
	}
	taken := map[string]string{}
	for _, l := range n.pairs {
		link := Link{Name: c.name(l.key)}
		if link.Name == "" || !c.open(l.value, linkGrammar) {
			continue
		}
		if t := l.value.get("topics"); t != nil {
			link.Topics = c.topics(t)
		}
		at := l.key
		if t := l.value.get("text"); t != nil {
			link.Text, at = c.str(t), t
		} else if len(join) > 0 {
			link.Text = join[0] + " " + link.Name
		}
		heard := unspaced(link.Text)
		word, isWord := c.prog.Keyword(link.Text)
		topic, stops := c.prog.StopsTopic(link.Text)
		switch {
		case link.Text == "":
		case len([]rune(link.Text)) > maxLinkText:
			c.at(at, "a link's text has at most %d characters", maxLinkText)
		case heard == "":
			c.at(at, "%q says nothing", link.Text)
		case isWord:
			c.at(at, "%q stands for %s already", link.Text, word)
		case stops || topic != "":
			c.at(at, "%q reads like a stop", link.Text)
		case taken[heard] != "":
			c.at(at, "%q is the text of the link %s already", link.Text, taken[heard])
		}
		taken[heard] = link.Name
		c.prog.Links = append(c.prog.Links, link)
	}
	if len(c.prog.OptIns) > 0 && c.optsInBy("keyword.join") {
		return
	}
	for _, l := range c.prog.Links {
		if len(l.Topics) == 0 {
			c.at(n.key(l.Name), "this asks for nothing: name its topics, or what keyword.join asks for under opt_in")
		}
	}
}

func (c *checker) optsInBy(event string) bool {
	for _, o := range c.prog.OptIns {
		if o.On == event {
			return true
		}
	}
	return false
}
