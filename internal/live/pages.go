package live

import "github.com/aws/aws-sdk-go-v2/aws"

// maxIdlePages is how many pages in a row may bring nothing new. KMS may return
// fewer items than asked for ("ListKeys", KMS API Reference), none included, but
// not for ever.
const maxIdlePages = 100

// page is what a fetch says about the page it got.
type page struct {
	// fresh counts the items that no page before had.
	fresh int
	// truncated and next are the service's word on further pages.
	truncated bool
	next      *string
}

// eachPage fetches page after page to the end. The SDK's paginators would stop
// quietly at a page that is truncated and names no next one, and go round for
// ever on a repeated marker; both are errors here, since either way what comes
// after is unknown. A marker is followed even if the page does not claim to be
// truncated: at worst that costs a request.
func eachPage(fetch func(marker *string) (page, error)) error {
	seen := make(map[string]bool)
	idle := 0
	for marker := (*string)(nil); ; {
		p, err := fetch(marker)
		if err != nil {
			return err
		}
		if idle++; p.fresh > 0 {
			idle = 0
		}
		next := aws.ToString(p.next)
		switch {
		case next == "" && p.truncated:
			return incomplete("the answer is truncated and names no next page")
		case next == "":
			return nil
		case seen[next]:
			return incomplete("the same page marker came twice")
		case idle > maxIdlePages:
			return incomplete("%d pages in a row brought nothing new", idle)
		}
		seen[next] = true
		marker = &next
	}
}
