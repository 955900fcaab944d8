#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "exact_decimal.h"
#include "stele/json.h"

namespace stele {
namespace {

using std::string;

string canonical(string text) {
  return Json(std::move(text)).canonical();
}

TEST(CanonicalJson, IsOneTextForEqualDocuments) {
  const std::vector<std::vector<string>> groups{
      {"{}", " { } ", "{\n}"},
      {"[]", "[ ]\t"},
      {R"({"a":1,"b":2})", R"({"b":2,"a":1})", R"( { "b" : 2 , "a" : 1 } )", R"({"\u0062":2,"\u0061":1.0})"},
      {"[1]", "[1.0]", "[1e0]", "[10e-1]", "[0.1e1]", "[1E+0]", "[1.000]", "[0.01E2]"},
      {"[0]", "[0.0]", "[-0]", "[-0.0]", "[0e5]", "[0E-5]", "[-0e0]"},
      {"[100]", "[1e2]", "[1.00e+2]", "[1000E-1]", "[100.00]"},
      {"[-12.5]", "[-125e-1]", "[-1.25e1]", "[-12.50]"},
      {"[0.001]", "[1e-3]", "[0.1E-2]"},
      {"[\"\xC3\xA9\"]", R"(["\u00e9"])", R"(["\u00E9"])"},
      {"[\"\xF0\x9F\x98\x80\"]", R"(["\ud83d\ude00"])"},
      {R"(["/"])", R"(["\/"])", R"(["\u002f"])"},
      {R"(["\n\t\b\f\r"])", R"(["\u000a\u0009\u0008\u000c\u000d"])"},
      {R"(["\"\\"])", R"(["\u0022\u005c"])"},
      {R"({"x":[{"q":1,"p":{"z":[],"y":{}}},2]})", R"({"x":[{"p":{"y":{},"z":[ ]},"q":1},2]})"},
  };
  for (const auto& group : groups) {
    for (const string& text : group) {
      EXPECT_EQ(canonical(text), canonical(group.front())) << text;
      EXPECT_TRUE(json_equal(Json(text), Json(group.front()))) << text;
    }
  }
  for (std::size_t a = 0; a < groups.size(); ++a) {
    for (std::size_t b = 0; b < groups.size(); ++b) {
      if (a != b) {
        EXPECT_NE(canonical(groups[a].front()), canonical(groups[b].front()));
      }
    }
  }
}

TEST(CanonicalJson, TellsDocumentsThatDiffer) {
  const string long_digits = "1234567890123456789012345678901234567890";
  for (const auto& [a, b] : std::vector<std::pair<string, string>>{
           {"[1,2]", "[2,1]"},
           {"[]", "{}"},
           {"[[]]", "[{}]"},
           {"[1]", "[1,1]"},
           {"[1]", "[\"1\"]"},
           {"[null]", "[\"null\"]"},
           {"[null]", "[false]"},
           {"[null]", "[]"},
           {R"({"a":null})", "{}"},
           {R"({"a":1})", R"({"A":1})"},
           {R"({"a":1,"b":2})", R"({"a":2,"b":1})"},
           {R"(["a","b"])", R"(["a\",\"b"])"},
           {R"(["\u00e9"])", R"(["e\u0301"])"},  // composed and decomposed
           {R"(["\\u0061"])", R"(["a"])"},
           {"[1]", "[-1]"},
           {"[10]", "[1]"},
           {"[9007199254740993]", "[9007199254740992]"},  // the same as doubles
           {"[0.1]", "[0.1000000000000000055511151231257827]"},
           {"[1e-400]", "[0]"},
           {"[1e-400]", "[1e-401]"},
           {"[" + long_digits + "1]", "[" + long_digits + "2]"},
           {"[0." + long_digits + "1]", "[0." + long_digits + "2]"},
           {"[1." + string(990, '0') + "1]", "[1]"},
       }) {
    EXPECT_NE(canonical(a), canonical(b)) << a << " and " << b;
    EXPECT_FALSE(json_equal(Json(a), Json(b))) << a << " and " << b;
  }
}

TEST(CanonicalJson, SortsNamesByTheirBytesNotBySpelling) {
  EXPECT_EQ(canonical(R"({"b":1,"aa":2,"a":3,"B":4,"":5})"), R"({"":5,"B":4,"a":3,"aa":2,"b":1})");
  // U+FFFF sorts before U+1F600 in UTF-8, behind it in UTF-16.
  EXPECT_EQ(canonical(R"({"\ud83d\ude00":1,"\uffff":2})"), "{\"\xEF\xBF\xBF\":2,\"\xF0\x9F\x98\x80\":1}");
  // A quote sorts as what it is, not as the backslash of its escape.
  EXPECT_EQ(canonical(R"({"\\":1,"\"":2,"Z":3})"), R"({"\"":2,"Z":3,"\\":1})");
  EXPECT_EQ(canonical(R"({"a\u0001":1,"a":2,"a ":3})"), R"({"a":2,"a\u0001":1,"a ":3})");
}

TEST(CanonicalJson, IsItselfJsonAndCanonical) {
  for (const string text : {R"({"b":[1.50,"\u00e9\n",{"d":1e3,"c":null}],"a":-0.0})", "[100e300,1e-1000]",
                            R"(["\u0001\u001f\u007f\"\\"])"}) {
    const string once = canonical(text);
    EXPECT_EQ(canonical(once), once);
    EXPECT_TRUE(json_equal(Json(once), Json(text)));
  }
}

TEST(CanonicalJson, TakesNumbersAsAStoreMaySpellThem) {
  // PostgreSQL's jsonb writes 1e-1000 in more than a thousand characters; what was accepted once must stay readable.
  const Json written("[1e-1000]");
  const Json read = Json::trusted("[0." + string(999, '0') + "1]");
  EXPECT_TRUE(json_equal(written, read));
  EXPECT_TRUE(json_equal(Json("[" + string(300, '9') + ".25]"), Json::trusted("[" + string(300, '9') + ".250000]")));
}

TEST(ExactDecimal, HasOneFormForEachValue) {
  struct Row {
    std::string_view text;
    bool negative;
    string digits;
    std::int64_t exponent;
  };
  for (const Row& row : {
           Row{"0", false, "0", 0},
           Row{"-0.000e7", false, "0", 0},
           Row{"1", false, "1", 0},
           Row{"1200", false, "12", 2},
           Row{"-12.50", true, "125", -1},
           Row{"0.00120", false, "12", -4},
           Row{"1.20e-5", false, "12", -6},
           Row{"120E+5", false, "12", 6},
           Row{"10.01", false, "1001", -2},
       }) {
    const detail::ExactDecimal decimal = detail::parse_decimal(row.text);
    EXPECT_EQ(decimal.negative, row.negative) << row.text;
    EXPECT_EQ(decimal.digits, row.digits) << row.text;
    EXPECT_EQ(decimal.exponent, row.exponent) << row.text;
  }
}

/// A document as a tree, which two spellings are made of.
struct Node {
  enum class Kind { object, array, text, number, literal } kind = Kind::literal;
  std::vector<std::pair<std::u32string, Node>> members;  // an object's, with distinct names; an array's, names unused
  std::u32string text;
  string digits;  // of a number, no zero at either end; "" is 0
  bool negative = false;
  int exponent = 0;
  string word;
};

class Documents {
 public:
  explicit Documents(std::uint64_t seed) : random_(seed) {}

  Node make(int depth) {
    Node node;
    const int kind = depth == 0 ? below(2) : depth >= 6 ? 2 + below(3) : below(5);
    node.kind = static_cast<Node::Kind>(kind);
    switch (node.kind) {
      case Node::Kind::object:
      case Node::Kind::array:
        // Sometimes more than are compared one by one.
        for (int i = below(below(10) == 0 ? 40 : 6); i > 0; --i) {
          std::u32string name = text();
          const auto same = [&](const auto& member) { return member.first == name; };
          if (node.kind == Node::Kind::array || std::none_of(node.members.begin(), node.members.end(), same)) {
            node.members.emplace_back(std::move(name), make(depth + 1));
          }
        }
        break;
      case Node::Kind::text: node.text = text(); break;
      case Node::Kind::number:
        for (int i = below(4) == 0 ? 40 : below(5); i > 0; --i) node.digits += static_cast<char>('0' + below(10));
        node.digits.erase(0, std::min(node.digits.find_first_not_of('0'), node.digits.size()));
        while (node.digits.ends_with('0')) node.digits.pop_back();
        node.negative = !node.digits.empty() && below(2) == 0;
        node.exponent = below(60) - 30;
        break;
      case Node::Kind::literal:
        node.word = std::array{"true", "false", "null"}[static_cast<std::size_t>(below(3))];
        break;
    }
    return node;
  }

  /// One of the many spellings of a document.
  string spell(const Node& node) {
    string out = space();
    switch (node.kind) {
      case Node::Kind::object:
      case Node::Kind::array: {
        const bool object = node.kind == Node::Kind::object;
        std::vector<const std::pair<std::u32string, Node>*> members;
        for (const auto& member : node.members) members.push_back(&member);
        if (object) std::shuffle(members.begin(), members.end(), random_);
        out += object ? '{' : '[';
        for (const auto* member : members) {
          if (member != members.front()) out += ',';
          if (object) out += space() + spell(member->first) + space() + ':';
          out += spell(member->second);
        }
        out += members.empty() ? space() : "";
        out += object ? '}' : ']';
        break;
      }
      case Node::Kind::text: out += spell(node.text); break;
      case Node::Kind::number: out += spell_number(node); break;
      case Node::Kind::literal: out += node.word; break;
    }
    return out + space();
  }

  /// Changes one number, string or word somewhere, or adds to an empty document.
  void change(Node& node) {
    if (node.kind == Node::Kind::object || node.kind == Node::Kind::array) {
      if (node.members.empty()) {
        node.members.emplace_back(U"new", Node{});
        node.members.back().second.word = "null";
      } else {
        change(node.members[static_cast<std::size_t>(below(static_cast<int>(node.members.size())))].second);
      }
    } else if (node.kind == Node::Kind::text) {
      node.text += U'x';
    } else if (node.kind == Node::Kind::number) {
      node.digits += '1';
    } else {
      node.word = node.word == "true" ? "false" : "true";
    }
  }

  int below(int end) { return static_cast<int>(random_() % static_cast<unsigned>(end)); }

 private:
  std::u32string text() {
    static constexpr std::array<char32_t, 14> points{U'a',      U'b',      U'"',          U'\\',        U'/',
                                                     U'\n',     U'\u0001', U' ',          U'\u00e9',    U'\ud7ff',
                                                     U'\ue000', U'\uffff', U'\U0001F600', U'\U0010FFFF'};
    std::u32string text;
    for (int i = below(5); i > 0; --i) text += points[static_cast<std::size_t>(below(points.size()))];
    return text;
  }

  string space() {
    string out;
    for (int i = below(4) == 0 ? below(4) : 0; i > 0; --i) out += " \t\r\n"[below(4)];
    return out;
  }

  string escape(std::uint32_t unit) {
    const char* digits = below(2) == 0 ? "0123456789abcdef" : "0123456789ABCDEF";
    string out = "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += digits[unit >> shift & 15];
    return out;
  }

  string spell(const std::u32string& text) {
    string out = "\"";
    for (const char32_t point : text) {
      const auto byte = [](std::uint32_t value) { return static_cast<char>(static_cast<unsigned char>(value)); };
      if (below(3) == 0 || point < 0x20 || point == U'"' || point == U'\\') {
        if (point >= 0x10000) {
          out += escape(0xD800 + ((point - 0x10000) >> 10)) + escape(0xDC00 + ((point - 0x10000) & 0x3FF));
        } else if ((point == U'"' || point == U'\\' || point == U'/') && below(2) == 0) {
          out += '\\';
          out += static_cast<char>(point);
        } else if (point == U'\n' && below(2) == 0) {
          out += "\\n";
        } else {
          out += escape(point);
        }
      } else if (point < 0x80) {
        out += byte(point);
      } else if (point < 0x800) {
        out += {byte(0xC0 | point >> 6), byte(0x80 | (point & 0x3F))};
      } else if (point < 0x10000) {
        out += {byte(0xE0 | point >> 12), byte(0x80 | (point >> 6 & 0x3F)), byte(0x80 | (point & 0x3F))};
      } else {
        out += {byte(0xF0 | point >> 18), byte(0x80 | (point >> 12 & 0x3F)), byte(0x80 | (point >> 6 & 0x3F)),
                byte(0x80 | (point & 0x3F))};
      }
    }
    return out + '"';
  }

  string spell_number(const Node& node) {
    string digits = node.digits + string(static_cast<std::size_t>(below(4)), '0');
    int exponent = node.exponent - static_cast<int>(digits.size() - node.digits.size());
    if (node.digits.empty()) {
      digits = "0";
      exponent = below(10);
    }
    string out = node.negative || (node.digits.empty() && below(2) == 0) ? "-" : "";
    // The point anywhere within the digits, or in front of them.
    const auto point = static_cast<std::size_t>(below(static_cast<int>(digits.size()) + 1));
    out += point == 0 ? "0" : digits.substr(0, digits[0] == '0' ? 1 : point);
    if (digits[0] != '0' && point < digits.size()) {
      out += '.' + digits.substr(point);
      exponent += static_cast<int>(digits.size() - point);
    }
    if (exponent != 0 || below(2) == 0) {
      out += below(2) == 0 ? 'e' : 'E';
      if (exponent >= 0 && below(2) == 0) out += '+';
      out += std::to_string(exponent);
    }
    return out;
  }

  std::mt19937_64 random_;
};

TEST(CanonicalJson, DoesNotDependOnTheSpellingOfRandomDocuments) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Documents documents(seed);
  for (int i = 0; i < 3000; ++i) {
    Node document = documents.make(0);
    const Json one(documents.spell(document));
    const Json two(documents.spell(document));
    ASSERT_EQ(one.canonical(), two.canonical()) << one.text() << "\n" << two.text();
    ASSERT_TRUE(json_equal(one, two)) << one.text() << "\n" << two.text();
    ASSERT_EQ(Json(one.canonical()).canonical(), one.canonical());
    documents.change(document);
    const Json three(documents.spell(document));
    ASSERT_FALSE(json_equal(one, three)) << one.text() << "\n" << three.text();
    ASSERT_NE(one.canonical(), three.canonical());
  }
}

}  // namespace
}  // namespace stele
