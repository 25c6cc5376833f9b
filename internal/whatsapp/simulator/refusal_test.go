package simulator

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/internal/whatsapp"
)

// Bodies that Meta refuses, and the code that it refuses them with. Each is one change to a body that is right.
func TestMessageRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.says(mia, "hi")
	w.template(cart)
	w.template(whatsapp.TemplateSpec{Name: "named", Language: "da", Category: "UTILITY", ParameterFormat: "NAMED", Components: []whatsapp.Component{
		{Type: "BODY", Text: "Hi {{who}}.", Example: &whatsapp.Example{BodyNamed: []whatsapp.NamedExample{{Name: "who", Example: "Mia"}}}},
	}})
	w.template(whatsapp.TemplateSpec{Name: "pictured", Language: "en", Category: "UTILITY", Components: []whatsapp.Component{
		{Type: "HEADER", Format: "IMAGE", Example: &whatsapp.Example{HeaderHandle: []string{w.sample("IMAGE")}}}, {Type: "BODY", Text: "Look."},
	}})

	head := func(kind, content string) string {
		return fmt.Sprintf(`{"messaging_product":"whatsapp","recipient_type":"individual","to":"+4520123456","type":%q,%q:%s}`, kind, kind, content)
	}
	text := head("text", `{"body":"hi"}`)
	buttons := func(list string) string {
		return head("interactive", `{"type":"button","body":{"text":"b"},"action":{"buttons":[`+list+`]}}`)
	}
	one := `{"type":"reply","reply":{"id":"%s","title":"%s"}}`
	list := func(sections string) string {
		return head("interactive", `{"type":"list","body":{"text":"b"},"action":{"button":"Open","sections":`+sections+`}}`)
	}
	header := `{"type":"header","parameters":[{"type":"text","text":"Mia"}]}`
	url := `{"type":"button","sub_type":"url","index":2,"parameters":[{"type":"text","text":"7"}]}`
	coupon := `{"type":"button","sub_type":"COPY_CODE","index":"3","parameters":[{"type":"coupon_code","coupon_code":"AB12"}]}`
	params := func(values ...string) string {
		for i, v := range values {
			values[i] = fmt.Sprintf(`{"type":"text","text":%q}`, v)
		}
		return `{"type":"body","parameters":[` + strings.Join(values, ",") + `]}`
	}
	tmpl := func(name, language string, components ...string) string {
		return head("template", fmt.Sprintf(`{"name":%q,"language":{"code":%q},"components":[%s]}`, name, language, strings.Join(components, ",")))
	}
	full := tmpl(cart.Name, "en", header, params("a", "b"), url, coupon)
	named := func(parameter string) string {
		return tmpl("named", "da", `{"type":"body","parameters":[`+parameter+`]}`)
	}
	tooLong := strings.Repeat("é", 4097)
	tenRows := strings.TrimSuffix(strings.Repeat(`{"id":"x","title":"t"},`, 11), ",")

	for name, c := range map[string]struct {
		body string
		code int
	}{
		"right text":                     {text, 0},
		"right text of the longest":      {head("text", `{"body":"`+tooLong[2:]+`"}`), 0},
		"right template":                 {full, 0},
		"right template, named":          {named(`{"type":"text","parameter_name":"who","text":"Mia"}`), 0},
		"right template, image":          {tmpl("pictured", "en", `{"type":"header","parameters":[{"type":"image","image":{"link":"https://x.example/a.png"}}]}`), 0},
		"right buttons":                  {buttons(fmt.Sprintf(one, "a", "A")), 0},
		"right list":                     {list(`[{"rows":[{"id":"1","title":"t"}]}]`), 0},
		"no JSON":                        {`hello`, 100},
		"a list":                         {`[]`, 100},
		"null":                           {`null`, 100},
		"no product":                     {strings.Replace(text, `"messaging_product":"whatsapp",`, "", 1), 100},
		"no type":                        {strings.Replace(text, `"type":"text",`, "", 1), 131008},
		"unknown type":                   {head("telegram", `{}`), 100},
		"a sticker with words":           {head("sticker", `{"link":"https://x.example/a.webp","caption":"x"}`), 100},
		"no content":                     {`{"messaging_product":"whatsapp","to":"+4520123456","type":"text"}`, 131008},
		"content of another type":        {strings.Replace(text, `"text":{`, `"image":{`, 1), 100},
		"a member too many":              {strings.Replace(text, `"type"`, `"typo":1,"type"`, 1), 100},
		"a member too many in the text":  {head("text", `{"body":"hi","bold":true}`), 100},
		"text that is a string":          {head("text", `"hi"`), 100},
		"text that is a number":          {head("text", `{"body":5}`), 100},
		"empty text":                     {head("text", `{"body":" "}`), 100},
		"text too long":                  {head("text", `{"body":"`+tooLong+`"}`), 100},
		"no recipient":                   {strings.Replace(text, `"to":"+4520123456",`, "", 1), 100},
		"a recipient without digits":     {strings.Replace(text, "+4520123456", "Mia", 1), 131009},
		"a recipient with spaces":        {strings.Replace(text, "+4520123456", "+45 20 12 34 56", 1), 131009},
		"a recipient too short":          {strings.Replace(text, "+4520123456", "+4520", 1), 131009},
		"a recipient that is a number":   {strings.Replace(text, `"+4520123456"`, "4520123456", 1), 100},
		"the business itself":            {strings.Replace(text, "+4520123456", "+4533112233", 1), 131021},
		"a group":                        {strings.Replace(text, "individual", "group", 1), 100},
		"callback data too long":         {strings.Replace(text, `"type"`, `"biz_opaque_callback_data":"`+strings.Repeat("x", 513)+`","type"`, 1), 100},
		"no such template":               {tmpl("nothing", "en"), 132001},
		"not in this language":           {tmpl(cart.Name, "da", header, params("a", "b"), url, coupon), 132001},
		"no language":                    {head("template", `{"name":"named"}`), 131008},
		"too few values":                 {tmpl(cart.Name, "en", header, params("a"), url, coupon), 132000},
		"too many values":                {tmpl(cart.Name, "en", header, params("a", "b", "c"), url, coupon), 132000},
		"no values":                      {tmpl(cart.Name, "en", header, url, coupon), 132000},
		"no header value":                {tmpl(cart.Name, "en", params("a", "b"), url, coupon), 132000},
		"a header value too many":        {tmpl("named", "da", header, `{"type":"body","parameters":[{"type":"text","parameter_name":"who","text":"Mia"}]}`), 132000},
		"an empty value":                 {tmpl(cart.Name, "en", header, params("a", ""), url, coupon), 131008},
		"a value of two lines":           {tmpl(cart.Name, "en", header, params("a", "b\nc"), url, coupon), 132012},
		"a value of spaces":              {tmpl(cart.Name, "en", header, params("a", "b     c"), url, coupon), 132012},
		"a text too long when filled":    {tmpl(cart.Name, "en", header, params("a", strings.Repeat("b", 1024)), url, coupon), 132005},
		"no address":                     {tmpl(cart.Name, "en", header, params("a", "b"), coupon), 131008},
		"no coupon":                      {tmpl(cart.Name, "en", header, params("a", "b"), url), 131008},
		"a coupon with a dash":           {tmpl(cart.Name, "en", header, params("a", "b"), url, strings.Replace(coupon, "AB12", "AB-12", 1)), 131009},
		"a coupon of 16":                 {tmpl(cart.Name, "en", header, params("a", "b"), url, strings.Replace(coupon, "AB12", "ABCDEFGHIJKLMNOP", 1)), 131009},
		"a coupon for a reply":           {tmpl(cart.Name, "en", header, params("a", "b"), url, strings.Replace(coupon, `"3"`, `"0"`, 1), coupon), 131009},
		"a button that is not there":     {tmpl(cart.Name, "en", header, params("a", "b"), url, coupon, strings.Replace(coupon, `"3"`, `"4"`, 1)), 132000},
		"a button twice":                 {tmpl(cart.Name, "en", header, params("a", "b"), url, url, coupon), 100},
		"a button without a number":      {tmpl(cart.Name, "en", header, params("a", "b"), strings.Replace(url, `"index":2`, `"index":"x"`, 1), coupon), 131009},
		"an unknown component":           {tmpl("named", "da", `{"type":"tail"}`), 100},
		"a named value without name":     {named(`{"type":"text","text":"Mia"}`), 100},
		"a named value of another name":  {named(`{"type":"text","parameter_name":"whom","text":"Mia"}`), 100},
		"a name where there are numbers": {tmpl(cart.Name, "en", header, `{"type":"body","parameters":[{"type":"text","parameter_name":"1","text":"a"},{"type":"text","parameter_name":"2","text":"b"}]}`, url, coupon), 100},
		"text where the image goes":      {tmpl("pictured", "en", header), 132012},
		"an image without address":       {tmpl("pictured", "en", `{"type":"header","parameters":[{"type":"image","image":{}}]}`), 100},
		"no buttons":                     {buttons(``), 131009},
		"four buttons":                   {buttons(strings.Repeat(fmt.Sprintf(one, "a", "A")+",", 3) + fmt.Sprintf(one, "b", "B")), 131009},
		"two buttons of one id":          {buttons(fmt.Sprintf(one, "a", "A") + "," + fmt.Sprintf(one, "a", "B")), 131009},
		"a title of 21":                  {buttons(fmt.Sprintf(one, "a", strings.Repeat("x", 21))), 131009},
		"an id of 257":                   {buttons(fmt.Sprintf(one, strings.Repeat("x", 257), "A")), 131009},
		"buttons without words":          {strings.Replace(buttons(fmt.Sprintf(one, "a", "A")), `"text":"b"`, `"text":""`, 1), 131009},
		"no sections":                    {list(`[]`), 131009},
		"a section without rows":         {list(`[{"title":"a","rows":[]}]`), 131009},
		"two sections without titles":    {list(`[{"rows":[{"id":"1","title":"t"}]},{"rows":[{"id":"2","title":"t"}]}]`), 131009},
		"eleven rows":                    {list(`[{"rows":[` + tenRows + `]}]`), 131009},
		"a row title of 25":              {list(`[{"rows":[{"id":"1","title":"` + strings.Repeat("x", 25) + `"}]}]`), 131009},
		"a description of 73":            {list(`[{"rows":[{"id":"1","title":"t","description":"` + strings.Repeat("x", 73) + `"}]}]`), 131009},
		"an unknown interactive":         {head("interactive", `{"type":"flow","body":{"text":"b"},"action":{}}`), 131009},
		"an image by both":               {head("image", `{"id":"1","link":"https://x.example/a"}`), 100},
		"an image by neither":            {head("image", `{}`), 100},
		"an image by a script":           {head("image", `{"link":"javascript:alert(1)"}`), 131009},
		"an image with a file name":      {head("image", `{"id":"1","filename":"a"}`), 100},
		"a place without longitude":      {head("location", `{"latitude":1}`), 131008},
		"a place beyond":                 {head("location", `{"latitude":91,"longitude":0}`), 131009},
		"read, of nothing":               {`{"messaging_product":"whatsapp","status":"read","message_id":"wamid.x"}`, 131009},
		"unread":                         {`{"messaging_product":"whatsapp","status":"unread","message_id":"wamid.x"}`, 100},
	} {
		before := len(w.chat(mia))
		status, answer := w.call(http.MethodPost, "/v26.0/301/messages", c.body, "Authorization", "Bearer token")
		if c.code == 0 {
			require.Equal(t, http.StatusOK, status, "%s: %v", name, answer)
			require.Len(t, w.chat(mia), before+1, name)
			continue
		}
		require.GreaterOrEqual(t, status, 400, name)
		require.Less(t, status, 500, name)
		graph := answer["error"].(map[string]any)
		require.EqualValues(t, c.code, graph["code"], "%s: %v", name, graph)
		require.NotEmpty(t, graph["fbtrace_id"], name)
		require.NotEmpty(t, graph["error_data"].(map[string]any)["details"], name)
		require.Len(t, w.chat(mia), before, name)
	}
}

func TestGraphRefusesStrangers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, auth := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "token", "Basic token"} {
		for _, path := range []string{"POST /v26.0/301/messages", "GET /v26.0/201/message_templates", "POST /v26.0/201/message_templates", "GET /v26.0/301"} {
			method, path, _ := strings.Cut(path, " ")
			status, answer := w.call(method, path, nil, "Authorization", auth)
			require.Equal(t, http.StatusUnauthorized, status)
			require.EqualValues(t, 190, answer["error"].(map[string]any)["code"])
		}
	}
	status, answer := w.call(http.MethodPost, "/v26.0/302/messages", `{}`, "Authorization", "Bearer token")
	require.Equal(t, http.StatusBadRequest, status)
	require.EqualValues(t, 100, answer["error"].(map[string]any)["code"])
	status, _ = w.call(http.MethodPost, "/v26.0/301/messages", strings.Repeat(" ", maxGraphBody+1), "Authorization", "Bearer token")
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	res, err := http.Post(w.address+"/latest/301/messages", "application/json", nil)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusNotFound, res.StatusCode)

	client := whatsapp.New(whatsapp.Config{BaseURL: w.address, PhoneNumberID: "301", Token: "old"})
	_, err = client.Send(t.Context(), cartMessage())
	require.Equal(t, whatsapp.Sender, whatsapp.ClassOf(err))
}

func TestTemplateRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.limit(object{"templates_per_hour": 0}) // it makes more
	body := func(text string, samples ...string) whatsapp.Component {
		c := whatsapp.Component{Type: "BODY", Text: text}
		if samples != nil {
			c.Example = &whatsapp.Example{BodyText: [][]string{samples}}
		}
		return c
	}
	spec := func(components ...whatsapp.Component) whatsapp.TemplateSpec {
		return whatsapp.TemplateSpec{Name: "t", Language: "en", Category: "UTILITY", Components: components}
	}
	named := func(change func(*whatsapp.TemplateSpec)) whatsapp.TemplateSpec {
		s := spec(body("Hi."))
		change(&s)
		return s
	}
	buttons := func(list ...whatsapp.ButtonSpec) whatsapp.TemplateSpec {
		return spec(body("Hi."), whatsapp.Component{Type: "BUTTONS", Buttons: list})
	}
	for name, c := range map[string]struct {
		spec    whatsapp.TemplateSpec
		subcode int
	}{
		"upper-case name":              {named(func(s *whatsapp.TemplateSpec) { s.Name = "T" }), 0},
		"no language":                  {named(func(s *whatsapp.TemplateSpec) { s.Language = "" }), 0},
		"category of another age":      {named(func(s *whatsapp.TemplateSpec) { s.Category = "ACCOUNT_UPDATE" }), 0},
		"format":                       {named(func(s *whatsapp.TemplateSpec) { s.ParameterFormat = "BOTH" }), 0},
		"no body":                      {spec(), 2388072},
		"two bodies":                   {spec(body("a"), body("b")), 0},
		"body too long":                {spec(body(strings.Repeat("x", 1025))), 2388040},
		"variable first":               {spec(body("{{1}} hi", "a")), 2388299},
		"variable last":                {spec(body("hi {{1}} ", "a")), 2388299},
		"no samples":                   {spec(body("hi {{1}}.")), 2388043},
		"too few samples":              {spec(body("hi {{1}} {{2}}.", "a")), 2388043},
		"a gap":                        {spec(body("hi {{1}} {{3}}.", "a", "b")), 0},
		"names in a numbered template": {spec(body("hi {{who}}.", "a")), 0},
		"footer with a variable":       {spec(body("hi"), whatsapp.Component{Type: "FOOTER", Text: "{{1}}"}), 2388073},
		"header too long":              {spec(body("hi"), whatsapp.Component{Type: "HEADER", Format: "TEXT", Text: strings.Repeat("x", 61)}), 2388047},
		"header of no format":          {spec(body("hi"), whatsapp.Component{Type: "HEADER", Text: "x"}), 2388047},
		"unknown component":            {spec(body("hi"), whatsapp.Component{Type: "CAROUSEL"}), 0},
		"no button":                    {buttons(), 0},
		"button without words":         {buttons(whatsapp.ButtonSpec{Type: "QUICK_REPLY"}), 2388040},
		"button of 26":                 {buttons(whatsapp.ButtonSpec{Type: "QUICK_REPLY", Text: strings.Repeat("x", 26)}), 2388040},
		"unknown button":               {buttons(whatsapp.ButtonSpec{Type: "FLOW", Text: "x"}), 0},
		"address of no site":           {buttons(whatsapp.ButtonSpec{Type: "URL", Text: "x", URL: "javascript:1"}), 0},
		"address without sample":       {buttons(whatsapp.ButtonSpec{Type: "URL", Text: "x", URL: "https://x.example/{{1}}"}), 2388043},
		"address, variable inside":     {buttons(whatsapp.ButtonSpec{Type: "URL", Text: "x", URL: "https://x.example/{{1}}/a", Example: whatsapp.Samples{"y"}}), 0},
		"code without sample":          {buttons(whatsapp.ButtonSpec{Type: "COPY_CODE"}), 0},
		"phone of letters":             {buttons(whatsapp.ButtonSpec{Type: "PHONE_NUMBER", Text: "x", PhoneNumber: "call me"}), 0},
	} {
		_, err := w.client.CreateTemplate(t.Context(), c.spec)
		var e *whatsapp.Error
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, 100, e.Code, name)
		require.Equal(t, c.subcode, e.Subcode, name)
		require.NotEmpty(t, e.Details, name)
		require.False(t, whatsapp.IsDuplicateTemplate(err), name)
	}

	w.template(cart)
	_, err := w.client.CreateTemplate(t.Context(), cart)
	require.True(t, whatsapp.IsDuplicateTemplate(err))
	da := cart
	da.Language = "da"
	w.template(da)

	for i := range 120 {
		_, err := w.client.CreateTemplate(t.Context(), named(func(s *whatsapp.TemplateSpec) { s.Name = fmt.Sprintf("many_%d", i) }))
		require.NoError(t, err)
	}
	all, err := w.client.ListTemplates(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 122, "over more than one page")
	require.Equal(t, cart.Name, all[0].Name)
	require.Equal(t, "APPROVED", all[0].Status)
	require.Equal(t, cart.Components, all[0].Components)
	require.Equal(t, "da", all[1].Language)
	_, answer := w.call(http.MethodGet, "/v26.0/201/message_templates?name="+cart.Name+"&language=da", nil, "Authorization", "Bearer token")
	require.Len(t, answer["data"], 1)
}
