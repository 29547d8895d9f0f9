package founding

import (
	"context"
	"embed"
	"fmt"
	"os"
	"text/template"

	"cpsca/cmd/internal/hierarchy"
	"cpsca/config"
)

//go:embed templates/*.yaml
var templates embed.FS

// configurations writes the files of the three commands and reads each back,
// so that what init leaves is known to start.
func (f *founder) configurations(context.Context) error {
	files, err := template.ParseFS(templates, "templates/*.yaml")
	if err != nil {
		return fmt.Errorf("reading the templates: %w", err)
	}
	facts := struct {
		Plan         Plan
		Preset       Preset
		Module       string
		Feed         string
		Bureau       string
		Certificates config.Certificates
		Root, Cards  string
		Identities   []identityFacts
	}{f.plan, f.plan.Preset, f.module, feedKey, DefaultBureau, f.certificates(), hierarchy.Root, hierarchy.Cards, nil}
	for _, one := range f.identities() {
		if one.role != "" && one.file != "status" {
			facts.Identities = append(facts.Identities, identityFacts{one.file, string(one.role)})
		}
	}
	for _, name := range []string{"authority.yaml", "status.yaml", "cpsca.yaml"} {
		file, err := os.OpenFile(f.path(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
		err = files.ExecuteTemplate(file, name, facts)
		if err != nil {
			file.Close()
			return fmt.Errorf("writing %s: %w", name, err)
		}
		err = file.Close()
		if err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	err = os.Mkdir(f.path("status"), 0o700)
	if err != nil {
		return fmt.Errorf("making the status node's folder: %w", err)
	}
	_, err = config.ReadAuthority(f.path("authority.yaml"))
	if err == nil {
		_, err = config.ReadStatus(f.path("status.yaml"))
	}
	if err == nil {
		_, err = config.ReadClient(f.path("cpsca.yaml"))
	}
	return err
}

type identityFacts struct{ File, Role string }
