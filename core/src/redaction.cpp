#include "stele/redaction.h"

#include "json_places.h"
#include "json_tree.h"

namespace stele {
namespace {

constexpr std::string_view marker = R"({"$withheld":true})";

detail::JsonTree::Rules rules_for_stored() {
  detail::JsonTree::Rules rules;
  rules.limit_numbers = false;
  return rules;
}

Json replaced(const Json& document, const JsonPointers& pointers, std::string_view replacement) {
  if (pointers.empty()) return document;
  const detail::JsonTree tree(document.text(), rules_for_stored());
  return Json::trusted(
      detail::with_replaced(document.text(), detail::find_places(tree, pointers),
                            [&](const detail::JsonPlace&, std::string_view, std::string& out) { out += replacement; }));
}

void withhold(std::optional<Json>& context) {
  if (context) context = Json::trusted(std::string(marker));
}

void withhold_contexts(EventFields& event) {
  withhold(event.metadata);
  withhold(event.policy_context);
  withhold(event.model_context);
  withhold(event.display);
}

}  // namespace

std::string_view to_string(Clearance clearance) noexcept {
  switch (clearance) {
    case Clearance::none: return "none";
    case Clearance::partial: return "partial";
    case Clearance::full: return "full";
    case Clearance::secrets: return "secrets";
  }
  return "unknown";
}

std::optional<Clearance> parse_clearance(std::string_view name) noexcept {
  for (const Clearance clearance : {Clearance::none, Clearance::partial, Clearance::full, Clearance::secrets}) {
    if (name == to_string(clearance)) return clearance;
  }
  return std::nullopt;
}

std::string_view to_string(Exposure exposure) noexcept {
  switch (exposure) {
    case Exposure::clear: return "clear";
    case Exposure::masked: return "masked";
    case Exposure::withheld: return "withheld";
  }
  return "unknown";
}

Exposure exposure(Clearance clearance, RedactionLevel level, bool contains_secrets, bool places_named) noexcept {
  if (clearance == Clearance::secrets) return Exposure::clear;
  if (contains_secrets) return Exposure::withheld;
  const Exposure masked = places_named ? Exposure::masked : Exposure::withheld;
  switch (level) {
    case RedactionLevel::none: return Exposure::clear;
    case RedactionLevel::partial: return clearance == Clearance::none ? masked : Exposure::clear;
    case RedactionLevel::full:
      switch (clearance) {
        case Clearance::none: return Exposure::withheld;
        case Clearance::partial: return masked;
        case Clearance::full:
        case Clearance::secrets: return Exposure::clear;
      }
  }
  return Exposure::withheld;  // A mark that this program does not know.
}

Exposure redact(RecordedEvent& event, Clearance clearance, const RedactionRules* rules) {
  const bool named = rules != nullptr && !rules->data.empty();
  const Exposure shown = exposure(clearance, event.redaction_level, event.contains_secrets, named);
  switch (shown) {
    case Exposure::clear: break;
    case Exposure::masked:
      event.data = replaced(event.data, rules->data, marker);
      if (rules->contexts) withhold_contexts(event);
      break;
    case Exposure::withheld:
      event.data = Json::trusted(std::string(marker));
      withhold_contexts(event);
      break;
  }
  return shown;
}

Json mask(const Json& document, const JsonPointers& pointers, std::string_view replacement) {
  detail::JsonTree::Rules rules;
  rules.any_value = true;
  rules.refuse_name_twice = true;
  const detail::JsonTree value(replacement, rules);
  const bool structured = value.root().kind == detail::JsonKind::object || value.root().kind == detail::JsonKind::array;
  for (const std::string& pointer : pointers.list()) {
    if (pointer.empty() && !structured) {
      throw Error(ErrorCode::invalid_argument, "replacement: a whole document has to stay an object or an array");
    }
  }
  return replaced(document, pointers, replacement);
}

}  // namespace stele
