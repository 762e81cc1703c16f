package cli

import (
	"context"
	"fmt"
	"math/big"
	"strings"

	"keywatch/internal/sla"
)

// charges are what is known of the bill.
type charges struct {
	// one is of the only place, byRegion of each that is named.
	one      *big.Rat
	byRegion map[string]*big.Rat
	// read says to ask Cost Explorer, once for each account.
	read      bool
	byAccount map[string]sla.Charges
}

func (j *judging) parseCharges() (*charges, error) {
	c := &charges{byRegion: map[string]*big.Rat{}, byAccount: map[string]sla.Charges{}}
	for _, text := range j.charges {
		region, amount, several := strings.Cut(text, "=")
		switch {
		case len(j.charges) == 1 && text == "read":
			c.read = true
			return c, nil
		case j.account == "":
			return nil, fmt.Errorf("--charges %s: the charges are of one account; name it with --account", text)
		case !several && len(j.charges) > 1:
			return nil, fmt.Errorf("--charges %s: an amount that names no region, or read, stands alone; write REGION=USD for each of several", text)
		case !several && j.region == "":
			return nil, fmt.Errorf("--charges %s: of which region? Write REGION=USD for each, or name one with --region", text)
		case several && !regionForm.MatchString(region):
			return nil, fmt.Errorf("--charges %s: %q is no region; write REGION=USD, for example eu-west-1=1234.56", text, region)
		case several && c.byRegion[region] != nil:
			return nil, fmt.Errorf("--charges %s: the charges of %s are given twice", text, region)
		case !several:
			amount = text
		}
		usd, err := sla.ParseUSD(amount)
		if err != nil {
			return nil, fmt.Errorf("--charges %w; or \"read\", to read it from Cost Explorer", err)
		}
		if several {
			c.byRegion[region] = usd
		} else {
			c.one = usd
		}
	}
	return c, nil
}

// readCharges finds what the place was charged, if somebody said it or it is to be read.
func (w *World) readCharges(ctx context.Context, j *judging, c *charges, m sla.Month, in *sla.Input) error {
	if !c.read {
		in.Charges = c.one
		if in.Charges == nil {
			in.Charges = c.byRegion[in.Region]
		}
		return nil
	}
	bill, known := c.byAccount[in.Account]
	if !known {
		// The caller may be the account that pays for this one.
		s, _, err := w.witness(ctx, "", j.region, "")
		if err != nil {
			return err
		}
		if bill, err = s.Charges(ctx, in.Account, m); err != nil {
			return environment(fmt.Errorf("read the charges: %w", err))
		}
		c.byAccount[in.Account] = bill
	}
	in.ChargesRead, in.ChargesOpen = true, bill.Estimated
	if in.Charges = bill.ByRegion[in.Region]; in.Charges == nil {
		in.Charges = new(big.Rat)
	}
	return nil
}
