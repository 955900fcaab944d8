#include "stele/schema.h"

#include <algorithm>
#include <charconv>

#include "schema_rules.h"
#include "stele/error.h"
#include "stele/limits.h"

namespace stele {
namespace detail {
namespace {

__extension__ typedef __int128 Wide;

constexpr std::int64_t power_of_ten(int exponent) noexcept {
  std::int64_t power = 1;
  for (int i = 0; i < exponent; ++i) power *= 10;
  return power;
}

}  // namespace

std::optional<SmallDecimal> small_decimal(std::string_view number) noexcept {
  if (number.size() > 20) return std::nullopt;
  SmallDecimal small;
  int digits = 0;
  bool negative = false;
  bool fraction = false;
  for (const char c : number) {
    if (c >= '0' && c <= '9') {
      if (++digits > 18) return std::nullopt;
      small.mantissa = small.mantissa * 10 + (c - '0');
      if (fraction) --small.exponent;
    } else if (c == '-') {
      negative = true;
    } else if (c == '.') {
      fraction = true;
    } else {
      return std::nullopt;  // An exponent: rare, and exact the slow way.
    }
  }
  if (negative) small.mantissa = -small.mantissa;
  return small;
}

int compare(std::string_view number, const Bound& bound) {
  const std::optional<SmallDecimal> small = small_decimal(number);
  if (!small || !bound.small) return compare(parse_decimal(number), bound.exact);
  Wide a = small->mantissa;
  Wide b = bound.small->mantissa;
  // At most 18 digits, and 18 zeros behind them: less than 127 bits.
  if (small->exponent > bound.small->exponent) {
    a *= power_of_ten(small->exponent - bound.small->exponent);
  } else {
    b *= power_of_ten(bound.small->exponent - small->exponent);
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

bool is_multiple(std::string_view number, const Bound& divisor) {
  const ExactDecimal value = parse_decimal(number);
  if (value.digits == "0") return true;
  // value / divisor = digits × 10^shift / mantissa. The digits do not end in zero, so nothing below 10^0 can go away.
  const std::int64_t shift = value.exponent - divisor.exact.exponent;
  if (shift < 0) return false;
  std::int64_t mantissa = 0;
  std::from_chars(divisor.exact.digits.data(), divisor.exact.digits.data() + divisor.exact.digits.size(), mantissa);
  Wide rest = 0;
  for (const char digit : value.digits) rest = (rest * 10 + (digit - '0')) % mantissa;
  for (std::int64_t i = 0; i < shift && rest != 0; ++i) rest = rest * 10 % mantissa;
  return rest == 0;
}

bool is_whole(std::string_view number) {
  if (number.find_first_of(".eE") == std::string_view::npos) return true;
  return parse_decimal(number).exponent >= 0;
}

namespace {

constexpr std::size_t pointer_bytes = 500;
constexpr std::size_t steps_per_value = 1'000;
constexpr std::size_t steps_at_least = 100'000;
constexpr std::size_t told_of_each_branch = 3;
// Schemas under way one within the other: less than 1 MB of stack.
constexpr std::size_t deepest = 500;

std::string_view type_names[] = {"null", "boolean", "object", "array", "number", "string", "integer"};

unsigned type_of(const JsonNode& value) noexcept {
  switch (value.kind) {
    case JsonKind::object: return type_object;
    case JsonKind::array: return type_array;
    case JsonKind::string: return type_string;
    case JsonKind::number: return type_number;
    case JsonKind::boolean_true:
    case JsonKind::boolean_false: return type_boolean;
    case JsonKind::null: return type_null;
  }
  return 0;
}

std::uint64_t characters(std::string_view text) noexcept {
  return static_cast<std::uint64_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// Where a value stands, told only when somebody asks.
struct Frame {
  const Frame* parent;
  std::string_view name;
  std::size_t index;
  bool element;
};

std::string pointer_of(const Frame* frame) {
  std::vector<const Frame*> way;
  for (; frame->parent != nullptr; frame = frame->parent) way.push_back(frame);
  std::string pointer;
  for (auto step = way.rbegin(); step != way.rend() && pointer.size() <= pointer_bytes; ++step) {
    if ((*step)->element) {
      pointer += '/';
      pointer += std::to_string((*step)->index);
    } else {
      append_pointer_token((*step)->name, pointer);
    }
  }
  if (pointer.size() > pointer_bytes) {
    std::size_t end = pointer_bytes;
    while (end > 0 && (static_cast<unsigned char>(pointer[end]) & 0xC0) == 0x80) --end;
    pointer.resize(end);
    pointer += "…";
  }
  return pointer;
}

std::string quoted(std::string_view name) {
  constexpr std::size_t most = 100;
  if (name.size() <= most) return "\"" + std::string(name) + "\"";
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0) == 0x80) --end;
  return "\"" + std::string(name.substr(0, end)) + "…\"";
}

/// One document against one schema.
class Check {
 public:
  Check(std::size_t values, std::size_t max_violations)
      : max_violations_(max_violations), steps_left_(steps_at_least + steps_per_value * values) {}

  bool run(const Schema& schema, const JsonNode& document) {
    const Frame root{nullptr, {}, 0, false};
    return holds(schema, document, root);
  }

  std::vector<SchemaViolation> violations;

 private:
  /// Silent while it is only asked whether a schema holds.
  class Silence {
   public:
    explicit Silence(Check& check) : check_(check), was_(check.silent_) { check.silent_ = true; }
    Silence(const Silence&) = delete;
    Silence& operator=(const Silence&) = delete;
    ~Silence() { check_.silent_ = was_; }

   private:
    Check& check_;
    bool was_;
  };

  /// Whether there is nothing more to find out once something is wrong.
  bool enough() const noexcept { return silent_ || violations.size() >= max_violations_; }

  bool fail(const Schema& schema, const Frame& at, std::string_view keyword, std::string message) {
    if (!enough()) {
      std::string where = schema.location;
      if (keyword != "false") append_pointer_token(keyword, where);
      if (where.size() > pointer_bytes) {
        where.resize(pointer_bytes);
        while (!where.empty() && (static_cast<unsigned char>(where.back()) & 0x80) != 0) where.pop_back();
        where += "…";
      }
      violations.push_back({pointer_of(&at), std::string(keyword), std::move(where), std::move(message)});
    }
    return false;
  }

  void step() {
    if (steps_left_-- == 0) {
      throw Error(ErrorCode::too_large, "schema: it asks more than " + std::to_string(steps_per_value) +
                                            " steps of each value of this document");
    }
  }

  bool silently(const Schema& schema, const JsonNode& value, const Frame& at) {
    const Silence silence(*this);
    return holds(schema, value, at);
  }

  bool holds(const Schema& schema, const JsonNode& value, const Frame& at) {
    step();
    if (++depth_ > deepest) {
      throw Error(ErrorCode::too_large, "schema: more than " + std::to_string(deepest) +
                                            " schemas apply one within the other to this document");
    }
    const bool held = holds_here(schema, value, at);
    --depth_;
    return held;
  }

  bool holds_here(const Schema& first, const JsonNode& value, const Frame& at) {
    const Schema* schema = &first;
    while (schema->ref != nullptr) {
      step();
      schema = schema->ref;
    }
    if (schema->never) return fail(*schema, at, "false", "nothing is allowed here");
    bool ok = true;
    // Each may be the last one that matters.
    const auto also = [&](bool held) {
      ok = ok && held;
      return ok || !enough();
    };
    if (schema->types != 0 && !also(check_type(*schema, value, at))) return false;
    if (!schema->enums.empty() && !also(check_enums(*schema, value, at))) return false;
    switch (value.kind) {
      case JsonKind::number:
        if (schema->number && !also(check_number(*schema, value, at))) return false;
        break;
      case JsonKind::string:
        if (schema->string && !also(check_string(*schema, value, at))) return false;
        break;
      case JsonKind::array:
        if (schema->array && !also(check_array(*schema, value, at))) return false;
        break;
      case JsonKind::object:
        if (schema->object && !also(check_object(*schema, value, at))) return false;
        break;
      default: break;
    }
    for (const Schema* part : schema->all_of) {
      if (!also(holds(*part, value, at))) return false;
    }
    if (!schema->any_of.empty() && !also(check_any_of(*schema, value, at))) return false;
    if (!schema->one_of.empty() && !also(check_one_of(*schema, value, at))) return false;
    if (schema->not_ != nullptr && silently(*schema->not_, value, at) &&
        !also(fail(*schema, at, "not", "is what the schema excludes"))) {
      return false;
    }
    if (schema->if_ != nullptr) {
      const Schema* then = silently(*schema->if_, value, at) ? schema->then_ : schema->else_;
      if (then != nullptr && !also(holds(*then, value, at))) return false;
    }
    return ok;
  }

  bool check_type(const Schema& schema, const JsonNode& value, const Frame& at) {
    if ((schema.types & type_of(value)) != 0) return true;
    if (value.kind == JsonKind::number && (schema.types & type_integer) != 0 && is_whole(value.text)) return true;
    if (enough()) return false;
    std::string wanted;
    for (unsigned i = 0; i < std::size(type_names); ++i) {
      if ((schema.types & (1U << i)) == 0) continue;
      if (!wanted.empty()) wanted += " or ";
      wanted += type_names[i];
    }
    unsigned bit = 0;
    while ((type_of(value) & (1U << bit)) == 0) ++bit;
    return fail(schema, at, "type", "is " + std::string(type_names[bit]) + ", has to be " + wanted);
  }

  bool check_enums(const Schema& schema, const JsonNode& value, const Frame& at) {
    bool ok = true;
    std::string canonical;
    for (const EnumRule& rule : schema.enums) {
      bool found = (rule.kinds & (1U << static_cast<unsigned>(value.kind))) != 0;
      if (found) {
        if (canonical.empty()) append_canonical(value, canonical);
        found = std::binary_search(rule.canonicals.begin(), rule.canonicals.end(), canonical);
      }
      if (found) continue;
      ok = fail(schema, at, rule.keyword,
                rule.keyword == std::string_view("const")
                    ? "is not the value that it has to be"
                    : "is none of the " + std::to_string(rule.canonicals.size()) + " values allowed");
      if (enough()) return false;
    }
    return ok;
  }

  bool check_number(const Schema& schema, const JsonNode& value, const Frame& at) {
    const NumberRules& rules = *schema.number;
    bool ok = true;
    if (rules.minimum && compare(value.text, *rules.minimum) < 0) {
      ok = fail(schema, at, "minimum", "is less than " + rules.minimum->text);
    }
    if (rules.maximum && compare(value.text, *rules.maximum) > 0) {
      ok = fail(schema, at, "maximum", "is greater than " + rules.maximum->text);
    }
    if (rules.exclusive_minimum && compare(value.text, *rules.exclusive_minimum) <= 0) {
      ok = fail(schema, at, "exclusiveMinimum", "has to be greater than " + rules.exclusive_minimum->text);
    }
    if (rules.exclusive_maximum && compare(value.text, *rules.exclusive_maximum) >= 0) {
      ok = fail(schema, at, "exclusiveMaximum", "has to be less than " + rules.exclusive_maximum->text);
    }
    if (rules.multiple_of && !is_multiple(value.text, *rules.multiple_of)) {
      ok = fail(schema, at, "multipleOf", "is no multiple of " + rules.multiple_of->text);
    }
    return ok;
  }

  bool check_string(const Schema& schema, const JsonNode& value, const Frame& at) {
    const StringRules& rules = *schema.string;
    bool ok = true;
    if (rules.min_length || rules.max_length) {
      const std::uint64_t length = characters(value.text);
      if (rules.min_length && length < *rules.min_length) {
        ok = fail(schema, at, "minLength", "is shorter than " + std::to_string(*rules.min_length) + " characters");
      }
      if (rules.max_length && length > *rules.max_length) {
        ok = fail(schema, at, "maxLength", "is longer than " + std::to_string(*rules.max_length) + " characters");
      }
    }
    if (rules.pattern && (ok || !enough()) && !rules.pattern->found_in(value.text)) {
      ok = fail(schema, at, "pattern", "does not match " + rules.pattern_shown);
    }
    return ok;
  }

  bool check_count(const Schema& schema, const Frame& at, std::uint64_t count,
                   const std::optional<std::uint64_t>& least, const std::optional<std::uint64_t>& most,
                   std::string_view min_keyword, std::string_view max_keyword, std::string_view what) {
    bool ok = true;
    if (least && count < *least) {
      ok = fail(schema, at, min_keyword, "has fewer than " + std::to_string(*least) + " " + std::string(what));
    }
    if (most && count > *most) {
      ok = fail(schema, at, max_keyword, "has more than " + std::to_string(*most) + " " + std::string(what));
    }
    return ok;
  }

  bool check_array(const Schema& schema, const JsonNode& value, const Frame& at) {
    const ArrayRules& rules = *schema.array;
    bool ok =
        check_count(schema, at, value.count, rules.min_items, rules.max_items, "minItems", "maxItems", "elements");
    if (!ok && enough()) return false;
    if (rules.items != nullptr || !rules.tuple.empty() || rules.additional != nullptr) {
      std::size_t index = 0;
      for (const JsonNode* element = value.begin(); element != value.end(); element = element->next(), ++index) {
        const Schema* item = rules.items != nullptr       ? rules.items
                             : index < rules.tuple.size() ? rules.tuple[index]
                                                          : rules.additional;
        if (item == nullptr) break;
        ok = holds(*item, *element, Frame{&at, {}, index, true}) && ok;
        if (!ok && enough()) return false;
      }
    }
    if (rules.contains != nullptr && !contains(*rules.contains, value, at)) {
      ok = fail(schema, at, "contains", "has no element as it has to be");
      if (enough()) return false;
    }
    if (rules.unique && value.count > 1) ok = check_unique(schema, value, at) && ok;
    return ok;
  }

  bool contains(const Schema& wanted, const JsonNode& array, const Frame& at) {
    std::size_t index = 0;
    for (const JsonNode* element = array.begin(); element != array.end(); element = element->next(), ++index) {
      if (silently(wanted, *element, Frame{&at, {}, index, true})) return true;
    }
    return false;
  }

  bool check_unique(const Schema& schema, const JsonNode& array, const Frame& at) {
    std::vector<std::pair<std::string, std::size_t>> elements;
    elements.reserve(array.count);
    for (const JsonNode* element = array.begin(); element != array.end(); element = element->next()) {
      elements.emplace_back(std::string(), elements.size());
      append_canonical(*element, elements.back().first);
    }
    std::sort(elements.begin(), elements.end());
    const auto twice = std::adjacent_find(elements.begin(), elements.end(),
                                          [](const auto& a, const auto& b) { return a.first == b.first; });
    if (twice == elements.end()) return true;
    return fail(schema, at, "uniqueItems",
                "elements " + std::to_string(twice->second) + " and " + std::to_string(std::next(twice)->second) +
                    " are equal");
  }

  bool check_object(const Schema& schema, const JsonNode& value, const Frame& at) {
    const ObjectRules& rules = *schema.object;
    bool ok = check_count(schema, at, value.count, rules.min_properties, rules.max_properties, "minProperties",
                          "maxProperties", "members");
    if (!ok && enough()) return false;

    // Most schemas know a handful of names.
    std::uint64_t few = 0;
    std::vector<bool> many;
    if (rules.known.size() > 64) many.resize(rules.known.size());
    const auto see = [&](std::size_t slot) {
      if (many.empty()) {
        few |= std::uint64_t{1} << slot;
      } else {
        many[slot] = true;
      }
    };
    const auto seen = [&](std::size_t slot) { return many.empty() ? (few >> slot & 1) != 0 : bool{many[slot]}; };

    for (const JsonNode* member = value.begin(); member != value.end(); member = member->next()) {
      const Frame here{&at, member->name, 0, false};
      const std::size_t slot = rules.slot(member->name);
      bool described = false;
      if (slot != rules.known.size()) {
        see(slot);
        if (const Schema* property = rules.known[slot].schema; property != nullptr) {
          described = true;
          ok = holds(*property, *member, here) && ok;
          if (!ok && enough()) return false;
        }
      }
      for (const ObjectRules::Pattern& pattern : rules.patterns) {
        step();
        if (!pattern.names.found_in(member->name)) continue;
        described = true;
        ok = holds(*pattern.schema, *member, here) && ok;
        if (!ok && enough()) return false;
      }
      if (!described && rules.additional != nullptr) {
        ok = check_additional(schema, *rules.additional, *member, here) && ok;
        if (!ok && enough()) return false;
      }
      if (rules.names != nullptr) {
        JsonNode name;
        name.kind = JsonKind::string;
        name.text = member->name;
        if (!silently(*rules.names, name, here)) {
          ok = fail(schema, here, "propertyNames", "the name is not as names have to be");
          if (enough()) return false;
        }
      }
    }
    for (const std::size_t slot : rules.required) {
      if (seen(slot)) continue;
      ok = fail(schema, at, "required", "lacks " + quoted(rules.known[slot].name));
      if (enough()) return false;
    }
    for (const ObjectRules::Dependency& dependency : rules.dependencies) {
      if (!seen(dependency.trigger)) continue;
      if (dependency.schema != nullptr) ok = holds(*dependency.schema, value, at) && ok;
      for (const std::size_t slot : dependency.required) {
        if (seen(slot)) continue;
        ok = fail(
            schema, at, "dependencies",
            "has " + quoted(rules.known[dependency.trigger].name) + " but lacks " + quoted(rules.known[slot].name));
      }
      if (!ok && enough()) return false;
    }
    return ok;
  }

  bool check_additional(const Schema& schema, const Schema& additional, const JsonNode& member, const Frame& here) {
    // Told as what it is for the reader, a name that is not allowed.
    if (additional.never) return fail(schema, here, "additionalProperties", "a member of this name is not allowed");
    return holds(additional, member, here);
  }

  bool check_any_of(const Schema& schema, const JsonNode& value, const Frame& at) {
    for (const Schema* branch : schema.any_of) {
      if (silently(*branch, value, at)) return true;
    }
    fail(schema, at, "anyOf", "is as none of the " + std::to_string(schema.any_of.size()) + " schemas wants it");
    explain(schema.any_of, value, at);
    return false;
  }

  bool check_one_of(const Schema& schema, const JsonNode& value, const Frame& at) {
    std::size_t held = 0;
    for (const Schema* branch : schema.one_of) {
      if (silently(*branch, value, at) && ++held == 2) {
        return fail(schema, at, "oneOf", "is as more than one of the schemas wants it");
      }
    }
    if (held == 1) return true;
    fail(schema, at, "oneOf", "is as none of the " + std::to_string(schema.one_of.size()) + " schemas wants it");
    explain(schema.one_of, value, at);
    return false;
  }

  /// What each branch found, for the outermost choice only: the choices within would be gone through again and again.
  void explain(const std::vector<const Schema*>& branches, const JsonNode& value, const Frame& at) {
    if (silent_ || explaining_) return;
    explaining_ = true;
    const std::size_t most = max_violations_;
    for (const Schema* branch : branches) {
      max_violations_ = std::min(most, violations.size() + told_of_each_branch);
      holds(*branch, value, at);
    }
    max_violations_ = most;
    explaining_ = false;
  }

  std::size_t max_violations_;
  std::size_t steps_left_;
  std::size_t depth_ = 0;
  bool silent_ = false;
  bool explaining_ = false;
};

}  // namespace

bool accepts(const Schema& schema, const JsonNode& value) {
  return Check(value.size, 1).run(schema, value);
}

}  // namespace detail

struct SchemaValidator::Compiled {
  explicit Compiled(std::string_view schema)
      : text(schema), tree(text, rules()), compiled(detail::compile_schema(tree)) {}

  static detail::JsonTree::Rules rules() {
    detail::JsonTree::Rules rules;
    rules.any_value = true;
    rules.refuse_name_twice = true;
    return rules;
  }

  std::vector<SchemaViolation> check(const detail::JsonTree& document, const SchemaCheckOptions& options) const {
    detail::Check check(document.size(), std::max<std::size_t>(1, options.max_violations));
    check.run(compiled.schemas.front(), document.root());
    return std::move(check.violations);
  }

  std::string text;
  detail::JsonTree tree;
  detail::CompiledSchema compiled;
};

SchemaValidator::SchemaValidator(std::shared_ptr<const Compiled> compiled) noexcept : compiled_(std::move(compiled)) {}

SchemaValidator SchemaValidator::compile(std::string_view schema) {
  if (schema.size() > limits::schema_bytes) {
    throw Error(ErrorCode::too_large, "schema: " + std::to_string(schema.size()) + " bytes, the limit is " +
                                          std::to_string(limits::schema_bytes));
  }
  return SchemaValidator(std::make_shared<const Compiled>(schema));
}

namespace {

// A store may spell numbers in a longer way than they were accepted in, and its names come once.
detail::JsonTree::Rules rules_for_stored() {
  detail::JsonTree::Rules rules;
  rules.limit_numbers = false;
  return rules;
}

}  // namespace

std::vector<SchemaViolation> SchemaValidator::check(const Json& document, const SchemaCheckOptions& options) const {
  return compiled_->check(detail::JsonTree(document.text(), rules_for_stored()), options);
}

std::vector<SchemaViolation> SchemaValidator::check_text(std::string_view document,
                                                         const SchemaCheckOptions& options) const {
  return compiled_->check(detail::JsonTree(document, Compiled::rules()), options);
}

bool SchemaValidator::accepts(const Json& document) const {
  return check(document, {.max_violations = 1}).empty();
}

const std::vector<IgnoredKeyword>& SchemaValidator::ignored() const noexcept {
  return compiled_->compiled.ignored;
}

const detail::CompiledSchema& SchemaValidator::compiled() const noexcept {
  return compiled_->compiled;
}

const std::string& SchemaValidator::text() const noexcept {
  return compiled_->text;
}

std::string SchemaViolation::to_string() const {
  std::string line = pointer.empty() ? "the whole" : pointer;
  line += ": ";
  line += message;
  line += " (schema: ";
  line += schema_pointer.empty() ? "the whole" : schema_pointer;
  line += ")";
  return line;
}

}  // namespace stele
