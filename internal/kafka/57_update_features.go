package kafka

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// UpdateFeatures
//
// Takes an update of a feature to the level that it is at. Any other is refused:
// what is served does not change while the server runs.
//
// Errors: INVALID_UPDATE_VERSION, CLUSTER_AUTHORIZATION_FAILED.
//
// Status: partial: features cannot be lowered
func (d *Door) updateFeatures(_ *request, in *kmsg.UpdateFeaturesRequest) (*kmsg.UpdateFeaturesResponse, error) {
	resp := kmsg.NewPtrUpdateFeaturesResponse()
	for i := range in.FeatureUpdates {
		u := &in.FeatureUpdates[i]
		if why := d.updateFeature(in.Version, u); why != "" {
			text := fmt.Sprintf("The update failed for all features since the following feature had an error: Invalid update version %d for feature %s. %s",
				u.MaxVersionLevel, u.Feature, why)
			return &kmsg.UpdateFeaturesResponse{ErrorCode: int16(brokers.InvalidUpdateVersion), ErrorMessage: &text}, nil
		}
		none := "NONE" // as Apache Kafka has it
		resp.Results = append(resp.Results, kmsg.UpdateFeaturesResponseResult{Feature: u.Feature, ErrorMessage: &none})
	}
	return resp, nil
}

// updateFeature tells why an update is refused.
func (d *Door) updateFeature(version int16, u *kmsg.UpdateFeaturesRequestFeatureUpdate) string {
	const upgrade, safeDowngrade, unsafeDowngrade = 1, 2, 3
	kind := u.UpgradeType
	if version == 0 {
		if kind = upgrade; u.AllowDowngrade {
			kind = safeDowngrade
		}
	}
	list := d.features()
	i := slices.IndexFunc(list, func(f feature) bool { return f.name == u.Feature })
	switch {
	case kind < upgrade || kind > unsafeDowngrade:
		return "The controller does not support the given upgrade type."
	case i < 0:
		return fmt.Sprintf("Local controller %d does not support this feature.", d.cluster.Controller())
	case u.MaxVersionLevel < 0 || u.MaxVersionLevel > list[i].level:
		return fmt.Sprintf("Local controller %d only supports versions 0-%d", d.cluster.Controller(), list[i].level)
	case u.MaxVersionLevel < list[i].level && kind == upgrade:
		return "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade."
	case u.MaxVersionLevel < list[i].level:
		return "This server serves its features at one level only."
	}
	return ""
}
