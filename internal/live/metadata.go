package live

import (
	"context"

	"github.com/aws/smithy-go/middleware"
)

// The SDK asks the instance metadata service for credentials when there are none
// elsewhere, three times and with pauses. On a machine that is no instance nobody
// ever answers, and synth from a snapshot would wait for seconds to find out.

// nobodyThere ends the SDK's attempts when no connection to the metadata service
// can be made. It sits inside of the retry loop.
type nobodyThere struct{}

// addNobodyThere is one of aws.Config.APIOptions; it is about the two operations
// by which the SDK gets an instance role, whose names no other service has.
func addNobodyThere(stack *middleware.Stack) error {
	if id := stack.ID(); id != "GetMetadata" && id != "getToken" {
		return nil
	}
	return stack.Finalize.Insert(nobodyThere{}, "Retry", middleware.After)
}

// ID implements middleware.FinalizeMiddleware.
func (nobodyThere) ID() string { return "keywatch metadata" }

// HandleFinalize implements middleware.FinalizeMiddleware.
func (nobodyThere) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	out, metadata, err := next.HandleFinalize(ctx, in)
	if isDial(err) {
		err = final{err}
	}
	return out, metadata, err
}

// final is an error that the SDK's retryers take for the last word.
type final struct{ error }

func (f final) RetryableError() bool { return false }
func (f final) Unwrap() error        { return f.error }
