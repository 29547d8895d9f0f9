package endtoend_test

import (
	"testing"

	"cpsca/testpki"
)

const killsPerHouse = 50 // each house dies so often

func TestKilledAtAnyInstantTheAuthorityRecordsExactlyOnePairPerOrder(t *testing.T) {
	testpki.SoftHSMForTest(t)
	p := openProgress(t, "kills", 200, 2000)
	p.parallel(t, killsPerHouse, func(t *testing.T, seed uint64) map[string]int {
		c := newCampaign(t, seed, 24*killsPerHouse)
		c.measure(t)
		for range killsPerHouse {
			c.round(t)
		}
		c.end(t)
		return c.left
	})
	if p.Left["open intents"] == 0 || p.Left["killed while it started"] == 0 {
		t.Error("no kill fell between intent and record, or none in a start: the instants prove nothing")
	}
}
