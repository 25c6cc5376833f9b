package fence

import "encoding/json"

// Menu is a list to choose from, or up to three buttons, that a built-in reply offers under its text.
type Menu struct {
	Button string    `json:"button"` // what opens the list; "": the rows are buttons
	Rows   []MenuRow `json:"rows"`
}

// MenuRow is one line of a menu. Its id comes back when it is chosen.
type MenuRow struct {
	ID          string `json:"id"`
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
}

// MenuKey is where a reply's entry keeps its menu, as JSON in a string.
const MenuKey = "menu"

// MenuOf reads the menu of a reply's entry, nil when it has none.
func MenuOf(entry map[string]any) *Menu {
	s, ok := entry[MenuKey].(string)
	if !ok {
		return nil
	}
	var m Menu
	if json.Unmarshal([]byte(s), &m) != nil || len(m.Rows) == 0 {
		return nil
	}
	return &m
}
