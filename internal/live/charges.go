package live

import (
	"cmp"
	"context"
	"errors"
	"math/big"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/costexplorer"
	"github.com/aws/aws-sdk-go-v2/service/costexplorer/types"

	"keywatch/internal/sla"
)

// The charges for use alone: the bill has tax, credits, refunds and negotiated
// discounts as types of their own ("GetDimensionValues", AWS Billing and Cost
// Management API Reference, on RECORD_TYPE). A credit that was paid for the month
// before must not make the charges smaller, nor tax make them larger. So a discount is
// not taken off: who has one gives the amount that was paid.
const (
	kmsOnTheBill = "AWS Key Management Service"
	charged      = "Usage"
	costMetric   = "UnblendedCost" // what this account was charged, averaged with no other
	currency     = "USD"
)

// mostChargePages ends the reading of an answer that has no end: there are some 40
// regions, and each page is paid for.
const mostChargePages = 20

// amountForm is how Cost Explorer writes a number. The exponent is short, so that no
// amount fills the memory.
var amountForm = regexp.MustCompile(`^-?[0-9]{1,40}(\.[0-9]{1,60})?([Ee][+-]?[0-9]{1,2})?$`)

// Charges reads what an account was charged for KMS in a month, by region; or there is
// an [*Error]. The account may be the caller's, or a member whose bill the caller's
// account pays. Each request costs $0.01 ("AWS Cost Management pricing"): one for each
// page, and the regions fit on one.
func (s *Session) Charges(ctx context.Context, account string, m sla.Month) (sla.Charges, error) {
	// Only so that an error can say who asked.
	if _, err := s.Caller(ctx); err != nil {
		return sla.Charges{}, err
	}
	in := &costexplorer.GetCostAndUsageInput{
		// The end is not within.
		TimePeriod:  &types.DateInterval{Start: aws.String(m.Start().Format(time.DateOnly)), End: aws.String(m.End().Format(time.DateOnly))},
		Granularity: types.GranularityMonthly,
		Metrics:     []string{costMetric},
		GroupBy:     []types.GroupDefinition{{Type: types.GroupDefinitionTypeDimension, Key: aws.String(string(types.DimensionRegion))}},
		Filter: &types.Expression{And: []types.Expression{
			only(types.DimensionService, kmsOnTheBill), only(types.DimensionRecordType, charged), only(types.DimensionLinkedAccount, account),
		}},
	}
	out := sla.Charges{ByRegion: map[string]*big.Rat{}}
	pages, told := 0, false
	err := eachPage(func(token *string) (page, error) {
		if pages++; pages > mostChargePages {
			return page{}, incomplete("there are more than %d pages", mostChargePages)
		}
		in.NextPageToken = token
		answer, err := s.costs.GetCostAndUsage(ctx, in)
		if err != nil {
			return page{}, err
		}
		if answer.ResultsByTime == nil {
			return page{}, incomplete("the answer holds no list of results")
		}
		before := len(out.ByRegion)
		for _, r := range answer.ResultsByTime {
			if p := cmp.Or(r.TimePeriod, &types.DateInterval{}); aws.ToString(p.Start) != *in.TimePeriod.Start || aws.ToString(p.End) != *in.TimePeriod.End {
				return page{}, incomplete("charges of another time than %s are in the answer", m)
			}
			if r.Groups == nil {
				return page{}, incomplete("the charges are not grouped by region")
			}
			told = true
			out.Estimated = out.Estimated || r.Estimated
			if err := addCharges(r.Groups, out.ByRegion); err != nil {
				return page{}, err
			}
		}
		return page{fresh: len(out.ByRegion) - before, next: answer.NextPageToken}, nil
	})
	// Without charges there is the month all the same, and no group in it.
	if err == nil && !told {
		err = incomplete("the answer says nothing of %s", m)
	}
	if err != nil {
		return sla.Charges{}, s.failCharges(err)
	}
	return out, nil
}

func only(d types.Dimension, value string) types.Expression {
	return types.Expression{Dimensions: &types.DimensionValues{Key: d, Values: []string{value}}}
}

// addCharges adds the regions of a page, each of which may come once.
func addCharges(groups []types.Group, byRegion map[string]*big.Rat) error {
	for _, g := range groups {
		if len(g.Keys) != 1 {
			return incomplete("a charge is of %d regions", len(g.Keys))
		}
		region := g.Keys[0]
		if region == "" {
			return incomplete("a charge is of no region")
		}
		if byRegion[region] != nil {
			return incomplete("the charges of %s came twice", region)
		}
		cost, there := g.Metrics[costMetric]
		if !there {
			return incomplete("the charges of %s have no amount", region)
		}
		if unit := aws.ToString(cost.Unit); unit != currency {
			return incomplete("the charges of %s are in %q, not in %s", region, unit, currency)
		}
		text := aws.ToString(cost.Amount)
		if !amountForm.MatchString(text) {
			return incomplete("the charges of %s are %q, which is no amount", region, text)
		}
		amount, ok := new(big.Rat).SetString(text)
		if !ok || amount.Sign() < 0 { // a correction of another month's
			return incomplete("the charges of %s are %s %s, and nobody is paid a credit of that", region, text, currency)
		}
		byRegion[region] = amount
	}
	return nil
}

// failCharges is fail with the ways out: a member of an organization sees its charges
// only if the management account lets it, and Cost Explorer is off until somebody
// enables it ("Controlling access to Cost Explorer", AWS Cost Management User Guide).
func (s *Session) failCharges(err error) error {
	failed := s.fail(opGetCostAndUsage, "", err)
	if e := (*Error)(nil); errors.As(failed, &e) {
		hints := []string{e.Hint}
		if a := apiError(err); a != nil && (e.Class == AccessDenied || a.ErrorCode() == "DataUnavailableException") {
			hints = append(hints, "the account that pays must have Cost Explorer enabled, and show members their charges")
		}
		hints = append(hints, "or give the amount from the bill: --charges AMOUNT")
		e.Hint = strings.TrimPrefix(strings.Join(hints, "; "), "; or ")
	}
	return failed
}
