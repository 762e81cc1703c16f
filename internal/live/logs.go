package live

import (
	"bytes"
	"context"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

// LogEvents writes every event of a log group from begin up to end to a writer,
// one a line; or there is an [*Error]. What was written before an error is a part,
// and no more.
//
// Everything is read, events of other services too: without them nobody could tell
// a quiet day from one without a log.
func (s *Session) LogEvents(ctx context.Context, group string, begin, end time.Time, to io.Writer) error {
	// Only so that an error can say whose log group it was.
	if _, err := s.Caller(ctx); err != nil {
		return err
	}
	in := &cloudwatchlogs.FilterLogEventsInput{
		StartTime: aws.Int64(begin.UnixMilli()),
		EndTime:   aws.Int64(end.UnixMilli() - 1), // which counts as within
	}
	if strings.HasPrefix(group, "arn:") {
		in.LogGroupIdentifier = aws.String(strings.TrimSuffix(group, ":*")) // as the console shows it
	} else {
		in.LogGroupName = &group
	}
	pages := 0
	err := eachPage(func(token *string) (page, error) {
		in.NextToken = token
		out, err := s.logs.FilterLogEvents(ctx, in)
		if err != nil {
			return page{}, err
		}
		if out.Events == nil {
			return page{}, incomplete("the answer holds no list of events")
		}
		for _, e := range out.Events {
			if e.Message == nil {
				return page{}, incomplete("the answer holds an event without a message")
			}
			// Within JSON a line break can only be space.
			line := append(bytes.ReplaceAll([]byte(*e.Message), []byte("\n"), []byte(" ")), '\n')
			if _, err := to.Write(line); err != nil {
				return page{}, err
			}
		}
		if pages++; pages > s.limits.logPages {
			return page{}, incomplete("there are more than %d pages", s.limits.logPages)
		}
		// A page may be empty and others follow, in a sparse group a great many
		// ("FilterLogEvents", CloudWatch Logs API Reference): a new token is progress.
		return page{fresh: 1, next: out.NextToken}, nil
	})
	if err != nil {
		return s.fail(opFilterLogEvents, group, err)
	}
	return nil
}
