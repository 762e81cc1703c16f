package fakeaws

import "time"

// PublishedQuotas are what AWS allows an account and region per second
// ("Request quotas", KMS Developer Guide). GetResources has no published quota;
// 15 is what people report.
func PublishedQuotas() map[string]float64 {
	return map[string]float64{
		"kms:ListKeys": 500, "kms:ListAliases": 500, "kms:DescribeKey": 2000, "kms:ListResourceTags": 2000,
		"tag:GetResources": 15,
	}
}

// Quotas makes the server answer requests beyond so many per second, by
// operation, as throttled. Operations that are left out have no quota.
func Quotas(perSecond map[string]float64) Option {
	return func(o *options) { o.quotas = perSecond }
}

// Latency makes every answer take so long.
func Latency(d time.Duration) Option { return func(o *options) { o.latency = d } }

// bucket holds a second's worth of requests, as AWS does ("Request throttling",
// EC2 Developer Guide, describes the token bucket).
type bucket struct {
	tokens, perSecond float64
	at                time.Time
}

// take says whether there is a token.
func (b *bucket) take(now time.Time) bool {
	b.tokens = min(b.tokens+now.Sub(b.at).Seconds()*b.perSecond, b.perSecond)
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// overQuota says whether the request exceeds its quota. Call it with mu held.
func (s *Server) overQuota(name string) bool {
	perSecond, limited := s.options.quotas[name]
	if !limited {
		return false
	}
	b := s.buckets[name]
	if b == nil {
		b = &bucket{tokens: perSecond, perSecond: perSecond, at: time.Now()}
		s.buckets[name] = b
	}
	return !b.take(time.Now())
}
