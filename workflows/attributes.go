package workflows

import (
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
)

// EnsureSearchAttributes registers the search attributes that a namespace lacks. Calling it again, or from several processes at
// once, does nothing more. It returns an error when one exists with another type: nothing here can change that.
func EnsureSearchAttributes(ctx context.Context, c client.Client, namespace string) error {
	listed, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return fmt.Errorf("list the search attributes of namespace %q: %w", namespace, err)
	}
	missing := map[string]enumspb.IndexedValueType{}
	for _, key := range attributes {
		name, want := key.GetName(), key.GetValueType()
		switch have, ok := listed.GetCustomAttributes()[name]; {
		case !ok:
			missing[name] = want
		case have != want:
			return fmt.Errorf("namespace %q has a search attribute %s of type %s, and Punchcard needs it as %s: use a namespace of its own",
				namespace, name, have, want)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: namespace, SearchAttributes: missing,
	})
	var already *serviceerror.AlreadyExists
	if err != nil && !errors.As(err, &already) {
		return fmt.Errorf("register search attributes with namespace %q: %w", namespace, err)
	}
	return nil
}
