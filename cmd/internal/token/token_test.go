package token

import (
	"testing"
	"time"

	"cpsca/config"
)

func TestEveryPlaceIsHandedOver(t *testing.T) {
	one, err := Settings(config.HSM{Module: "/m.so", Token: "authority", Serial: "01", PINFile: "/pin", Sessions: 3, Deadline: time.Second, TokenObjects: true})
	if err != nil {
		t.Fatal(err)
	}
	if one.Module != "/m.so" || one.Token != "authority" || one.Serial != "01" || one.PIN.String() != "file /pin" || len(one.Others) != 0 ||
		one.Sessions != 3 || one.Deadline != time.Second || !one.TokenObjects {
		t.Errorf("one token: got %+v", one)
	}
	several, err := Settings(config.HSM{Places: []config.Place{
		{Module: "/first.so", Token: "authority", PINFile: "/pin"},
		{Module: "/second.so", Serial: "02", PINDescriptor: 3},
		{Module: "/third.so", Token: "authority"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if several.Module != "/first.so" || several.PIN.String() != "file /pin" || len(several.Others) != 2 {
		t.Fatalf("several places: got %+v", several)
	}
	second, third := several.Others[0], several.Others[1]
	if second.Module != "/second.so" || second.Serial != "02" || second.PIN.String() != "descriptor 3" || third.PIN.String() != "prompt" {
		t.Errorf("several places: got %+v", several)
	}
	err = several.Validate()
	if err != nil {
		t.Errorf("several places are refused: %v", err)
	}
}
