package whatsapp

import (
	"context"
	"net/http"
	"net/url"
)

// Profile is what customers see of the business.
type Profile struct {
	About       string   `json:"about"`
	Address     string   `json:"address"`
	Description string   `json:"description"`
	Email       string   `json:"email"`
	PictureURL  string   `json:"profile_picture_url"`
	Websites    []string `json:"websites"`
	Vertical    string   `json:"vertical"` // the trade: RETAIL, RESTAURANT … a list of Meta's
}

// ProfileUpdate is what UpdateProfile changes. A member that is nil stays as it is.
type ProfileUpdate struct {
	About         *string   `json:"about,omitempty"`                  // 1 to 139 characters
	Address       *string   `json:"address,omitempty"`                // at most 256
	Description   *string   `json:"description,omitempty"`            // at most 256
	Email         *string   `json:"email,omitempty"`                  // at most 128
	PictureHandle *string   `json:"profile_picture_handle,omitempty"` // of a resumable upload
	Websites      *[]string `json:"websites,omitempty"`               // at most two, each at most 256
	Vertical      *string   `json:"vertical,omitempty"`
}

// GetProfile is the profile of the number. The error is an *Error.
func (c *Client) GetProfile(ctx context.Context) (Profile, error) {
	var answer struct {
		Data []struct {
			Profile
			Nested *Profile `json:"business_profile"` // as Meta's OpenAPI document has it; its guide and the API do not
		} `json:"data"`
	}
	query := url.Values{"fields": {"about,address,description,email,profile_picture_url,websites,vertical"}}
	if err := c.call(ctx, http.MethodGet, c.cfg.PhoneNumberID+"/whatsapp_business_profile", query, nil, &answer); err != nil {
		return Profile{}, err
	}
	switch {
	case len(answer.Data) == 0:
		return Profile{}, nil // none was ever written
	case answer.Data[0].Nested != nil:
		return *answer.Data[0].Nested, nil
	}
	return answer.Data[0].Profile, nil
}

// UpdateProfile changes the profile of the number. The error is an *Error.
func (c *Client) UpdateProfile(ctx context.Context, u ProfileUpdate) error {
	return c.confirmed(ctx, http.MethodPost, c.cfg.PhoneNumberID+"/whatsapp_business_profile", nil, struct {
		Product string `json:"messaging_product"`
		ProfileUpdate
	}{"whatsapp", u})
}
