// What a reader is shown of events that are marked as sensitive.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "stele/event.h"
#include "stele/export.h"
#include "stele/json.h"
#include "stele/json_pointers.h"

namespace stele {

/// How much a reader may see. Each may see what the ones before it may.
enum class Clearance : std::uint8_t { none, partial, full, secrets };

STELE_API std::string_view to_string(Clearance clearance) noexcept;
STELE_API std::optional<Clearance> parse_clearance(std::string_view name) noexcept;

/// What a reader gets of one event.
enum class Exposure : std::uint8_t {
  clear,     ///< All of it.
  masked,    ///< The named places of `data` are withheld, and unless the rules say otherwise the contexts.
  withheld,  ///< `data` and the contexts are withheld.
};

STELE_API std::string_view to_string(Exposure exposure) noexcept;

/// What is withheld of an event type where it is shown in part.
struct RedactionRules {
  JsonPointers data;     ///< Places in `data`. With none, an event that would be masked is withheld.
  bool contexts = true;  ///< Withhold metadata, policy_context, model_context and display as well.
};

/// The decision, by the reader's clearance and the event's marks:
///
/// | event                                | none     | partial | full  | secrets |
/// |--------------------------------------|----------|---------|-------|---------|
/// | redaction_level none                 | clear    | clear   | clear | clear   |
/// | redaction_level partial              | masked   | clear   | clear | clear   |
/// | redaction_level full                 | withheld | masked  | clear | clear   |
/// | contains_secrets, whatever the level | withheld | withheld| withheld | clear |
///
/// Masked becomes withheld when no rules name places in the type's `data`: what nobody has named is not shown.
STELE_API Exposure exposure(Clearance clearance, RedactionLevel level, bool contains_secrets,
                            bool places_named) noexcept;

/// Makes the event what a reader with this clearance gets, and says what that is. `rules` are those of the event's type
/// and version, as the event is stored; null when there are none.
///
/// Withheld `data` is `{"$withheld":true}`, and so is each withheld context that is there, and each withheld place.
/// Everything else of the envelope stays: keys, types, ids, times, actor and attributes are what events are found by,
/// and are no place for what not everybody may see.
STELE_API Exposure redact(RecordedEvent& event, Clearance clearance, const RedactionRules* rules);

/// The document with the replacement in each place that the pointers name; every other byte stays. The replacement is a
/// JSON value, also a string, a number, true, false or null. Throws invalid_argument when it is none, or when the whole
/// document is named and the replacement is neither an object nor an array.
STELE_API Json mask(const Json& document, const JsonPointers& pointers, std::string_view replacement = "null");

}  // namespace stele
