#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "schema_rules.h"
#include "stele/schema.h"

namespace stele {
namespace {

using detail::Bound;
using detail::JsonKind;
using detail::ObjectRules;
using detail::Schema;

constexpr std::size_t most_findings = 200;
constexpr unsigned every_type = 127;
constexpr std::string_view type_names[] = {"null", "boolean", "object", "array", "number", "string", "integer"};

const Schema& anything() {
  static const Schema schema;
  return schema;
}

const Schema& resolved(const Schema& schema) {
  const Schema* found = &schema;
  while (found->ref != nullptr) found = found->ref;
  return *found;
}
/// Everything that has to hold at once, with what stands in allOf.
using Parts = std::vector<const Schema*>;

void add_parts(const Schema& schema, Parts& parts) {
  const Schema& all = resolved(schema);
  if (std::find(parts.begin(), parts.end(), &all) != parts.end()) return;
  parts.push_back(&all);
  for (const Schema* part : all.all_of) add_parts(*part, parts);
}

/// A number is whole or has a fraction.
unsigned expanded(unsigned types) {
  if (types == 0) return every_type;
  return (types & detail::type_number) != 0 ? types | detail::type_integer : types;
}

/// Whether two schemas say the same, word for word, save for names of definitions.
class Sameness {
 public:
  bool same(const Schema* a, const Schema* b) {
    if (a == nullptr || b == nullptr) return a == b;
    const Schema& x = resolved(*a);
    const Schema& y = resolved(*b);
    // Two that lead back to themselves are the same if nothing else differs.
    if (&x == &y || !assumed_.emplace(&x, &y).second) return true;
    return x.never == y.never && expanded(x.types) == expanded(y.types) && same_enums(x, y) && same_numbers(x, y) &&
           same_strings(x, y) && same_arrays(x, y) && same_objects(x, y) && same(x.all_of, y.all_of) &&
           same(x.any_of, y.any_of) && same(x.one_of, y.one_of) && same(x.not_, y.not_) && same(x.if_, y.if_) &&
           same(x.then_, y.then_) && same(x.else_, y.else_);
  }

  bool same(const std::vector<const Schema*>& a, const std::vector<const Schema*>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [this](const Schema* x, const Schema* y) { return same(x, y); });
  }

 private:
  static bool same_enums(const Schema& a, const Schema& b) {
    return std::equal(a.enums.begin(), a.enums.end(), b.enums.begin(), b.enums.end(),
                      [](const auto& x, const auto& y) { return x.canonicals == y.canonicals; });
  }
  static bool same(const std::optional<Bound>& a, const std::optional<Bound>& b) {
    return a.has_value() == b.has_value() && (!a || compare(a->text, *b) == 0);
  }
  static bool same_numbers(const Schema& a, const Schema& b) {
    if (!a.number || !b.number) return a.number == b.number;
    return same(a.number->multiple_of, b.number->multiple_of) && same(a.number->minimum, b.number->minimum) &&
           same(a.number->maximum, b.number->maximum) &&
           same(a.number->exclusive_minimum, b.number->exclusive_minimum) &&
           same(a.number->exclusive_maximum, b.number->exclusive_maximum);
  }
  static bool same_strings(const Schema& a, const Schema& b) {
    if (!a.string || !b.string) return a.string == b.string;
    return a.string->min_length == b.string->min_length && a.string->max_length == b.string->max_length &&
           a.string->pattern.has_value() == b.string->pattern.has_value() &&
           a.string->pattern_text == b.string->pattern_text;
  }
  bool same_arrays(const Schema& a, const Schema& b) {
    if (!a.array || !b.array) return a.array == b.array;
    return a.array->min_items == b.array->min_items && a.array->max_items == b.array->max_items &&
           a.array->unique == b.array->unique && same(a.array->items, b.array->items) &&
           same(a.array->tuple, b.array->tuple) && same(a.array->additional, b.array->additional) &&
           same(a.array->contains, b.array->contains);
  }
  bool same_objects(const Schema& a, const Schema& b) {
    if (!a.object || !b.object) return a.object == b.object;
    const ObjectRules& x = *a.object;
    const ObjectRules& y = *b.object;
    const auto names = [](const ObjectRules& rules, const std::vector<std::size_t>& slots) {
      std::set<std::string_view> found;
      for (const std::size_t slot : slots) found.insert(rules.known[slot].name);
      return found;
    };
    return x.min_properties == y.min_properties && x.max_properties == y.max_properties &&
           same(x.additional, y.additional) && same(x.names, y.names) && names(x, x.required) == names(y, y.required) &&
           std::equal(x.known.begin(), x.known.end(), y.known.begin(), y.known.end(),
                      [&](const auto& k, const auto& l) { return k.name == l.name && same(k.schema, l.schema); }) &&
           std::equal(x.patterns.begin(), x.patterns.end(), y.patterns.begin(), y.patterns.end(),
                      [&](const auto& p, const auto& q) { return p.text == q.text && same(p.schema, q.schema); }) &&
           std::equal(x.dependencies.begin(), x.dependencies.end(), y.dependencies.begin(), y.dependencies.end(),
                      [&](const auto& d, const auto& e) {
                        return x.known[d.trigger].name == y.known[e.trigger].name &&
                               names(x, d.required) == names(y, e.required) && same(d.schema, e.schema);
                      });
  }

  std::set<std::pair<const Schema*, const Schema*>> assumed_;
};

bool is_same(const Schema* a, const Schema* b) {
  return Sameness().same(a, b);
}

/// Whether what one schema allows is allowed by another: "from" and "to" below.
class Comparison {
 public:
  Comparison(CompatibilityFinding::Affects affects, std::vector<CompatibilityFinding>& findings)
      : affects_(affects), findings_(findings) {}

  void compare(const Schema& from, const Schema& to) {
    const Schema& target = resolved(to);
    Parts parts;
    add_parts(from, parts);
    compare(parts, target);
  }

 private:
  /// What has to hold of a value, and where it stands.
  void compare(const Parts& from, const Schema& to_unresolved) {
    const Schema& to = resolved(to_unresolved);
    if (findings_.size() >= most_findings) return;
    if (!compared_.emplace(from, &to).second) return;  // Under way or done; recursion ends here.
    for (const Schema* part : from) {
      if (part->never || is_same(part, &to)) return;
    }
    if (to.never) {
      find(from, to, "false", "nothing is allowed there");
      return;
    }
    if (compare_values(from, to)) return;
    const unsigned types = types_of(from);
    compare_types(from, to, types);
    for (const detail::EnumRule& rule : to.enums) {
      find(from, to, rule.keyword, "values that are not listed are allowed on the other side");
    }
    if (to.number && (types & (detail::type_number | detail::type_integer)) != 0) compare_numbers(from, to, types);
    if (to.string && (types & detail::type_string) != 0) compare_strings(from, to);
    if (to.array && (types & detail::type_array) != 0) compare_arrays(from, to);
    if (to.object && (types & detail::type_object) != 0) compare_objects(from, to);
    for (const Schema* part : to.all_of) compare(from, *part);
    compare_choices(from, to);
  }

  /// Where the values are listed they are simply tried. Returns whether they are.
  bool compare_values(const Parts& from, const Schema& to) {
    const auto listed = std::find_if(from.begin(), from.end(), [](const Schema* part) { return !part->enums.empty(); });
    if (listed == from.end()) return false;
    std::size_t refused = 0;
    const std::vector<std::string>& values = (*listed)->enums.front().canonicals;
    for (const std::string& value : values) {
      detail::JsonTree::Rules rules;
      rules.any_value = true;
      rules.limit_numbers = false;
      const detail::JsonTree tree(value, rules);
      const bool allowed =
          std::all_of(from.begin(), from.end(), [&](const Schema* part) { return accepts(*part, tree.root()); });
      if (allowed && !accepts(to, tree.root())) ++refused;
    }
    if (refused != 0) {
      const std::string keyword = to.enums.empty() ? "" : to.enums.front().keyword;
      find({}, to, keyword,
           std::to_string(refused) + " of the " + std::to_string(values.size()) + " values listed on the other side " +
               (refused == 1 ? "is" : "are") + " not allowed");
    }
    return true;
  }

  static unsigned types_of(const Parts& from) {
    unsigned types = every_type;
    for (const Schema* part : from) types &= expanded(part->types);
    return types;
  }

  void compare_types(const Parts& from, const Schema& to, unsigned types) {
    const unsigned more = types & ~expanded(to.types);
    if (more == 0) return;
    std::string names;
    for (unsigned i = 0; i < std::size(type_names); ++i) {
      if ((more & (1U << i)) == 0) continue;
      // A number that is not whole; whole ones are allowed or named by themselves.
      if ((1U << i) == detail::type_integer && (more & detail::type_number) != 0) continue;
      names += (names.empty() ? "" : ", ") + std::string(type_names[i]);
    }
    find(from, to, "type", "may be " + names + ", which is not allowed");
  }

  // --- Numbers, strings

  template <class Implies>
  static bool any(const Parts& from, Implies implies) {
    return std::any_of(from.begin(), from.end(), [&](const Schema* part) { return implies(*part); });
  }

  void compare_numbers(const Parts& from, const Schema& to, unsigned types) {
    const detail::NumberRules& rules = *to.number;
    const auto bounded = [&](auto implies) {
      return any(from, [&](const Schema& part) { return part.number && implies(*part.number); });
    };
    const auto at_least = [](const std::optional<Bound>& bound, const Bound& least) {
      return bound && detail::compare(bound->text, least) >= 0;
    };
    const auto above = [](const std::optional<Bound>& bound, const Bound& least) {
      return bound && detail::compare(bound->text, least) > 0;
    };
    const auto at_most = [](const std::optional<Bound>& bound, const Bound& most) {
      return bound && detail::compare(bound->text, most) <= 0;
    };
    const auto below = [](const std::optional<Bound>& bound, const Bound& most) {
      return bound && detail::compare(bound->text, most) < 0;
    };
    if (rules.minimum && !bounded([&](const detail::NumberRules& r) {
          return at_least(r.minimum, *rules.minimum) || at_least(r.exclusive_minimum, *rules.minimum);
        })) {
      find(from, to, "minimum", "may be less than " + rules.minimum->text);
    }
    if (rules.exclusive_minimum && !bounded([&](const detail::NumberRules& r) {
          return above(r.minimum, *rules.exclusive_minimum) || at_least(r.exclusive_minimum, *rules.exclusive_minimum);
        })) {
      find(from, to, "exclusiveMinimum", "may be " + rules.exclusive_minimum->text + " or less");
    }
    if (rules.maximum && !bounded([&](const detail::NumberRules& r) {
          return at_most(r.maximum, *rules.maximum) || at_most(r.exclusive_maximum, *rules.maximum);
        })) {
      find(from, to, "maximum", "may be greater than " + rules.maximum->text);
    }
    if (rules.exclusive_maximum && !bounded([&](const detail::NumberRules& r) {
          return below(r.maximum, *rules.exclusive_maximum) || at_most(r.exclusive_maximum, *rules.exclusive_maximum);
        })) {
      find(from, to, "exclusiveMaximum", "may be " + rules.exclusive_maximum->text + " or greater");
    }
    if (rules.multiple_of) {
      const bool whole = (types & detail::type_number) == 0 && detail::is_multiple("1", *rules.multiple_of);
      const bool multiple = bounded([&](const detail::NumberRules& r) {
        return r.multiple_of && detail::is_multiple(r.multiple_of->text, *rules.multiple_of);
      });
      if (!whole && !multiple) {
        find(from, to, "multipleOf", "may be no multiple of " + rules.multiple_of->text);
      }
    }
  }

  void compare_strings(const Parts& from, const Schema& to) {
    const detail::StringRules& rules = *to.string;
    const auto bounded = [&](auto implies) {
      return any(from, [&](const Schema& part) { return part.string && implies(*part.string); });
    };
    if (rules.min_length.value_or(0) > 0 &&
        !bounded([&](const detail::StringRules& r) { return r.min_length && *r.min_length >= *rules.min_length; })) {
      find(from, to, "minLength", "may be shorter than " + std::to_string(*rules.min_length) + " characters");
    }
    if (rules.max_length &&
        !bounded([&](const detail::StringRules& r) { return r.max_length && *r.max_length <= *rules.max_length; })) {
      find(from, to, "maxLength", "may be longer than " + std::to_string(*rules.max_length) + " characters");
    }
    if (rules.pattern &&
        !bounded([&](const detail::StringRules& r) { return r.pattern && r.pattern_text == rules.pattern_text; })) {
      const bool another = bounded([](const detail::StringRules& r) { return r.pattern.has_value(); });
      find(from, to, "pattern",
           another ? "the patterns differ, and which texts they have in common is not known"
                   : "may not match " + rules.pattern_shown,
           another);
    }
  }

  // --- Arrays

  static Parts items_at(const Parts& from, std::size_t index) {
    Parts items;
    for (const Schema* part : from) {
      if (!part->array) continue;
      const detail::ArrayRules& rules = *part->array;
      const Schema* item = rules.items != nullptr       ? rules.items
                           : index < rules.tuple.size() ? rules.tuple[index]
                                                        : rules.additional;
      if (item != nullptr) add_parts(*item, items);
    }
    if (items.empty()) items.push_back(&anything());
    return items;
  }

  void compare_arrays(const Parts& from, const Schema& to) {
    const detail::ArrayRules& rules = *to.array;
    const auto bounded = [&](auto implies) {
      return any(from, [&](const Schema& part) { return part.array && implies(*part.array); });
    };
    const auto at_most = [&](std::uint64_t count) {
      return bounded([&](const detail::ArrayRules& r) { return r.max_items && *r.max_items <= count; });
    };
    if (rules.min_items.value_or(0) > 0 &&
        !bounded([&](const detail::ArrayRules& r) { return r.min_items && *r.min_items >= *rules.min_items; })) {
      find(from, to, "minItems", "may have fewer than " + std::to_string(*rules.min_items) + " elements");
    }
    if (rules.max_items && !at_most(*rules.max_items)) {
      find(from, to, "maxItems", "may have more than " + std::to_string(*rules.max_items) + " elements");
    }
    if (rules.unique && !at_most(1) && !bounded([](const detail::ArrayRules& r) { return r.unique; })) {
      find(from, to, "uniqueItems", "may have equal elements");
    }
    if (rules.contains != nullptr &&
        !bounded([&](const detail::ArrayRules& r) { return is_same(r.contains, rules.contains); })) {
      find(from, to, "contains", "what it has to contain is not the same", true);
    }
    std::size_t places = rules.tuple.size();
    for (const Schema* part : from) {
      if (part->array) places = std::max(places, part->array->tuple.size());
    }
    for (std::size_t index = 0; index <= places; ++index) {
      if (at_most(index)) return;
      const Schema* item = rules.items != nullptr       ? rules.items
                           : index < rules.tuple.size() ? rules.tuple[index]
                                                        : rules.additional;
      if (item == nullptr) continue;
      const Way way(*this, index == places ? "*" : std::to_string(index));
      compare(items_at(from, index), *item);
    }
  }

  // --- Objects

  /// All that has to hold of a member of this name.
  static Parts member(const Parts& from, std::string_view name) {
    Parts parts;
    for (const Schema* part : from) {
      if (!part->object) continue;
      const ObjectRules& rules = *part->object;
      bool described = false;
      if (const std::size_t slot = rules.slot(name);
          slot != rules.known.size() && rules.known[slot].schema != nullptr) {
        add_parts(*rules.known[slot].schema, parts);
        described = true;
      }
      for (const ObjectRules::Pattern& pattern : rules.patterns) {
        if (!pattern.names.found_in(name)) continue;
        add_parts(*pattern.schema, parts);
        described = true;
      }
      if (!described && rules.additional != nullptr) add_parts(*rules.additional, parts);
    }
    if (parts.empty()) parts.push_back(&anything());
    return parts;
  }

  static bool impossible(const Parts& parts) {
    return std::any_of(parts.begin(), parts.end(), [](const Schema* part) { return part->never; });
  }

  static bool is_required(const Parts& from, std::string_view name) {
    return any(from, [&](const Schema& part) {
      return part.object && std::any_of(part.object->required.begin(), part.object->required.end(),
                                        [&](std::size_t slot) { return part.object->known[slot].name == name; });
    });
  }

  /// Members that nothing names.
  static Parts others(const Parts& from) {
    Parts parts;
    for (const Schema* part : from) {
      if (part->object && part->object->additional != nullptr) add_parts(*part->object->additional, parts);
    }
    if (parts.empty()) parts.push_back(&anything());
    return parts;
  }

  void compare_objects(const Parts& from, const Schema& to) {
    const ObjectRules& rules = *to.object;
    for (const std::size_t slot : rules.required) {
      const std::string& name = rules.known[slot].name;
      if (!is_required(from, name)) find(from, to, "required", "may lack \"" + name + "\"");
    }
    compare_member_counts(from, to);

    // Every name that one of them knows.
    std::set<std::string> names;
    const auto know = [&](const ObjectRules& known) {
      for (const ObjectRules::Known& k : known.known) names.insert(k.name);
    };
    know(rules);
    for (const Schema* part : from) {
      if (part->object) know(*part->object);
    }
    for (const std::string& name : names) {
      const Parts here = member(from, name);
      if (impossible(here)) continue;
      const Way way(*this, name);
      const std::size_t slot = rules.slot(name);
      bool described = false;
      if (slot != rules.known.size() && rules.known[slot].schema != nullptr) {
        described = true;
        compare(here, *rules.known[slot].schema);
      }
      for (const ObjectRules::Pattern& pattern : rules.patterns) {
        if (!pattern.names.found_in(name)) continue;
        described = true;
        compare(here, *pattern.schema);
      }
      if (!described) compare_additional(here, to);
    }
    compare_patterns(from, to);
    if (const Parts rest = others(from); !impossible(rest)) {
      const Way way(*this, "*");
      compare_additional(rest, to);
    }
    compare_dependencies(from, to);
    if (rules.names != nullptr &&
        !any(from, [&](const Schema& part) { return part.object && is_same(part.object->names, rules.names); })) {
      find(from, to, "propertyNames", "what names have to be is not the same", true);
    }
  }

  void compare_additional(const Parts& here, const Schema& to) {
    if (to.object->additional == nullptr) return;
    if (resolved(*to.object->additional).never) {
      find(here, to, "additionalProperties", "a member of this name is not allowed");
    } else {
      compare(here, *to.object->additional);
    }
  }

  void compare_member_counts(const Parts& from, const Schema& to) {
    const ObjectRules& rules = *to.object;
    if (rules.min_properties.value_or(0) > 0 && !any(from, [&](const Schema& part) {
          return part.object && (part.object->min_properties.value_or(0) >= *rules.min_properties ||
                                 part.object->required.size() >= *rules.min_properties);
        })) {
      find(from, to, "minProperties", "may have fewer than " + std::to_string(*rules.min_properties) + " members");
    }
    if (rules.max_properties && !any(from, [&](const Schema& part) {
          if (!part.object) return false;
          const ObjectRules& r = *part.object;
          const bool closed = r.additional != nullptr && resolved(*r.additional).never && r.patterns.empty();
          const auto named = static_cast<std::size_t>(std::count_if(
              r.known.begin(), r.known.end(), [](const ObjectRules::Known& known) { return known.schema != nullptr; }));
          return (r.max_properties && *r.max_properties <= *rules.max_properties) ||
                 (closed && named <= *rules.max_properties);
        })) {
      find(from, to, "maxProperties", "may have more than " + std::to_string(*rules.max_properties) + " members");
    }
  }

  /// Names that only a pattern tells of.
  void compare_patterns(const Parts& from, const Schema& to) {
    const ObjectRules& rules = *to.object;
    const auto same_pattern = [](const ObjectRules& where, const std::string& text) -> const ObjectRules::Pattern* {
      const auto found = std::find_if(where.patterns.begin(), where.patterns.end(),
                                      [&](const ObjectRules::Pattern& pattern) { return pattern.text == text; });
      return found == where.patterns.end() ? nullptr : &*found;
    };
    const Way way(*this, "*");
    for (const ObjectRules::Pattern& pattern : rules.patterns) {
      // What else could have such a name: members by the same pattern, by others, or by none.
      Parts same;
      bool others_possible = true;
      for (const Schema* part : from) {
        if (!part->object) continue;
        if (const auto* found = same_pattern(*part->object, pattern.text)) add_parts(*found->schema, same);
        const bool closed = part->object->additional != nullptr && resolved(*part->object->additional).never;
        if (closed && part->object->patterns.empty()) others_possible = false;
      }
      if (!same.empty()) {
        compare(same, *pattern.schema);
      } else if (others_possible) {
        const Unsure unsure(*this);
        compare(others(from), *pattern.schema);
      }
    }
    for (const Schema* part : from) {
      if (!part->object) continue;
      for (const ObjectRules::Pattern& pattern : part->object->patterns) {
        if (same_pattern(rules, pattern.text) != nullptr) continue;
        Parts parts;
        add_parts(*pattern.schema, parts);
        if (impossible(parts)) continue;
        const Unsure unsure(*this);
        compare_additional(parts, to);
      }
    }
  }

  void compare_dependencies(const Parts& from, const Schema& to) {
    const ObjectRules& rules = *to.object;
    for (const ObjectRules::Dependency& dependency : rules.dependencies) {
      const std::string& trigger = rules.known[dependency.trigger].name;
      if (impossible(member(from, trigger))) continue;
      const auto on_other_side = [&](auto matches) {
        return any(from, [&](const Schema& part) {
          return part.object && std::any_of(part.object->dependencies.begin(), part.object->dependencies.end(),
                                            [&](const ObjectRules::Dependency& other) {
                                              return part.object->known[other.trigger].name == trigger &&
                                                     matches(*part.object, other);
                                            });
        });
      };
      for (const std::size_t slot : dependency.required) {
        const std::string& name = rules.known[slot].name;
        if (is_required(from, name) || on_other_side([&](const ObjectRules& r, const ObjectRules::Dependency& other) {
              return std::any_of(other.required.begin(), other.required.end(),
                                 [&](std::size_t s) { return r.known[s].name == name; });
            })) {
          continue;
        }
        find(from, to, "dependencies", "may have \"" + trigger + "\" but lack \"" + name + "\"");
      }
      if (dependency.schema != nullptr && !on_other_side([&](const ObjectRules&, const ObjectRules::Dependency& other) {
            return is_same(other.schema, dependency.schema);
          })) {
        find(from, to, "dependencies", "what \"" + trigger + "\" asks for is not the same", true);
      }
    }
  }

  // --- Choices

  /// Whether there would be no finding.
  bool within(const Parts& from, const Schema& to) {
    std::vector<CompatibilityFinding> findings;
    Comparison comparison(affects_, findings);
    comparison.depth_ = depth_ + 1;
    // Choices within choices within choices multiply; nobody writes them so deeply.
    if (comparison.depth_ > 4) return any(from, [&](const Schema& part) { return is_same(&part, &to); });
    comparison.compare(from, to);
    return findings.empty();
  }

  void compare_choices(const Parts& from, const Schema& to) {
    if (!to.any_of.empty() && !within_any_of(from, to)) {
      find(from, to, "anyOf", "whether one of the schemas always applies is not known", true);
    }
    if (!to.one_of.empty() && !any(from, [&](const Schema& part) { return Sameness().same(part.one_of, to.one_of); })) {
      find(from, to, "oneOf", "the schemas are not the same, and whether just one always applies is not known", true);
    }
    if (to.not_ != nullptr && !any(from, [&](const Schema& part) {
          if (part.not_ == nullptr) return false;
          Parts excluded;
          add_parts(*to.not_, excluded);
          return is_same(part.not_, to.not_) || within(excluded, *part.not_);
        })) {
      find(from, to, "not", "whether what is excluded can be is not known", true);
    }
    if (to.if_ != nullptr && !any(from, [&](const Schema& part) {
          return is_same(part.if_, to.if_) && is_same(part.then_, to.then_) && is_same(part.else_, to.else_);
        })) {
      find(from, to, "if", "the conditions are not the same", true);
    }
  }

  bool within_any_of(const Parts& from, const Schema& to) {
    const auto in_one = [&](const Parts& parts) {
      return std::any_of(to.any_of.begin(), to.any_of.end(),
                         [&](const Schema* branch) { return within(parts, *branch); });
    };
    if (in_one(from)) return true;
    return any(from, [&](const Schema& part) {
      for (const auto* branches : {&part.any_of, &part.one_of}) {
        if (!branches->empty() && std::all_of(branches->begin(), branches->end(), [&](const Schema* branch) {
              Parts narrowed = from;
              add_parts(*branch, narrowed);
              return in_one(narrowed);
            })) {
          return true;
        }
      }
      return false;
    });
  }

  // --- Findings

  class Way {
   public:
    Way(Comparison& comparison, std::string_view token) : pointer_(comparison.pointer_), size_(pointer_.size()) {
      detail::append_pointer_token(token, pointer_);
    }
    Way(const Way&) = delete;
    Way& operator=(const Way&) = delete;
    ~Way() { pointer_.resize(size_); }

   private:
    std::string& pointer_;
    std::size_t size_;
  };

  class Unsure {
   public:
    explicit Unsure(Comparison& comparison) : unsure_(comparison.unsure_), was_(unsure_) { unsure_ = true; }
    Unsure(const Unsure&) = delete;
    Unsure& operator=(const Unsure&) = delete;
    ~Unsure() { unsure_ = was_; }

   private:
    bool& unsure_;
    bool was_;
  };

  void find(const Parts& from, const Schema& to, std::string_view keyword, std::string message, bool unjudged = false) {
    if (findings_.size() >= most_findings) return;
    // What else the other side asks of the value may exclude it.
    const bool narrowed = any(from, [](const Schema& part) {
      return !part.any_of.empty() || !part.one_of.empty() || part.not_ != nullptr || part.if_ != nullptr;
    });
    CompatibilityFinding finding;
    finding.affects = affects_;
    finding.unjudged = unjudged || unsure_ || narrowed;
    finding.pointer = pointer_;
    finding.keyword = keyword;
    finding.schema_pointer = to.location;
    if (!keyword.empty() && keyword != "false") detail::append_pointer_token(keyword, finding.schema_pointer);
    finding.message = std::move(message);
    if (std::find(findings_.begin(), findings_.end(), finding) == findings_.end()) {
      findings_.push_back(std::move(finding));
    }
  }

  CompatibilityFinding::Affects affects_;
  std::vector<CompatibilityFinding>& findings_;
  std::set<std::pair<Parts, const Schema*>> compared_;
  std::string pointer_;
  bool unsure_ = false;
  int depth_ = 0;
};

}  // namespace

std::vector<CompatibilityFinding> check_compatibility(const SchemaValidator& old_version,
                                                      const SchemaValidator& new_version) {
  const Schema& before = old_version.compiled().schemas.front();
  const Schema& after = new_version.compiled().schemas.front();
  std::vector<CompatibilityFinding> findings;
  Comparison(CompatibilityFinding::Affects::old_readers, findings).compare(after, before);
  Comparison(CompatibilityFinding::Affects::old_writers, findings).compare(before, after);
  return findings;
}

std::string CompatibilityFinding::to_string() const {
  std::string line = affects == Affects::old_readers ? "old readers: " : "old writers: ";
  line += pointer.empty() ? "the whole" : pointer;
  line += ": ";
  if (!keyword.empty()) {
    line += keyword;
    line += ": ";
  }
  line += message;
  if (unjudged) line += " (not judged)";
  return line;
}

}  // namespace stele
