// SPDX-License-Identifier: Apache-2.0
// Writes tests/golden/topic_regex.txt: what RE2J, with which Kafka compiles SubscribedTopicRegex, says about patterns.
//   java -cp re2j-1.8.jar tests/golden/topic_regex.java 2500 1 > tests/golden/topic_regex.txt
// The arguments are the number of random patterns and their seed. A line is, after "names" with the topics' names:
//   16 hex digits, a tab, the pattern: it compiles; bit i is set when names[i] matches as a whole
//   "!" and RE2J's description, a tab, the pattern: it is refused
import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;

class TopicRegexGolden {
  static final int INSTRUCTIONS_MAX = 3000; // larger ones are over the gateway's own limit, or close to it
  static final String[] NAMES = {
    "a", "b", "c", "A", "B", "k", "K", "s", "S", "0", "7", ".", "-", "_", "z", "Z",
    "aa", "ab", "ba", "aA", "Ab", "a.", ".a", "a-", "-a", "a_", "_b", "ks", "KS", "sk", "00", "07",
    "aaa", "aab", "aba", "abb", "abc", "a.b", "a-b", "a_b", "AbC", "ABC", "kKs", "aaaa", "abab", "a.a.", "--a-", "b0b0",
    "aaaaa", "ababa", "abcabc", "a.b.c", "orders", "orders-v1", "Orders-V1", "x-orders", "orders.dlq", "orders_2026",
    "payments", "payments.eu-1", "aaaaaaaaaa", "kk-ss.KK_SS", "__internal", "zzz.9"
  };
  static final String[] ATOMS = {
    "a", "b", "c", "k", "s", "K", "S", "A", "0", "z", "-", "_", "/", "é", "ſ", "\u212a", "Ω", "😀", ".", "\\.", "\\-", "\\_", "orders",
    "payments", "aa", "ab", "^", "$", "\\A", "\\z", "\\b", "\\B", "\\d", "\\D", "\\s", "\\S", "\\w", "\\W", "\\pL",
    "\\PL", "\\pN", "\\p{Lu}", "\\P{Ll}", "\\p{^Lu}", "\\P{^Nd}", "\\p{Latin}", "\\p{Greek}", "\\p{Common}", "\\p{Any}",
    "\\x61", "\\x{61}", "\\x{212A}", "\\x{17f}", "\\x{10FFFF}", "\\141", "\\07", "\\Qa.b\\E", "\\Q.\\E", "\\Q\\E", "\\Qa",
    "[a-c]", "[^a]", "[^a-z]", "[a\\-z]", "[[:alpha:]]", "[[:^alpha:]]", "[^[:digit:]]", "[[:word:].]", "[\\d-]", "[\\w.]",
    "[^\\W]", "[\\pL_]", "[^\\p{Lu}]", "[]a]", "[^]a]", "[a-]", "[-a]", "[--/]", "[a-\\x{17f}]", "[k-s]", "[K]", "[ſ]", "[^ſ]",
    "[^\\x00-\\x{10FFFF}]", "[\\x{100}-\\x{200}]", "[^k]", "[a-a]", "[Aa]", "[\\Q]", "[\\b]", "[a-\\d]", "[z-a]", "[", "]", "[a",
    "[[:foo:]]", "[[:alpha:", "[[:]", "(?i)", "(?-i)", "(?s)", "(?m)", "(?U)", "(?is-mU)", "(?i-i)", "(?)", "(?-)", "(?i-)", "(?",
    "(?x)", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "(?>a)", "\\1", "\\8", "\\C", "\\Z", "\\G", "\\q", "\\p", "\\pX", "\\p{Foo}", "\\p{",
    "\\x", "\\x6", "\\x{}", "\\x{110000}", "\\x{zz}", "\\", "\\é", "\\a", "\\n", "\\t", "\\E", "(", ")", "|", "*", "{", "}", "{,2}",
    "(?P<n>a)", "(?<m>b)", "(?P<n", "(?P<>a)", "(?P<n-1>a)", "(?P=n)", "(?'n'a)", "(?#c)", "(?P>n)"
  };
  static final String[] REPEATS = {
    "*", "+", "?", "*?", "+?", "??", "{0}", "{1}", "{2}", "{3}", "{0,}", "{1,}", "{2,}", "{0,1}", "{0,3}", "{1,3}", "{2,4}", "{2}?",
    "{1,2}?", "{01}", "{1", "{1,", "{a}", "{2,1}", "{1001}", "{1,1001}", "{123456789}", "*+", "**", "{2}{3}", "*(?i)*", "{,3}"
  };
  static Random random;

  static String pick(String[] from) {
    return from[random.nextInt(from.length)];
  }

  static String generate(int depth) {
    int kind = random.nextInt(depth > 4 ? 2 : 12);
    switch (kind) {
      case 0:
        return random.nextInt(6) == 0 ? pick(ATOMS) : ATOMS[random.nextInt(10)];
      case 1:
        return NAMES[random.nextInt(NAMES.length)];
      case 2:
      case 3:
        return group(generate(depth + 1)) + REPEATS[random.nextInt(random.nextInt(9) == 0 ? REPEATS.length : 19)];
      case 4:
      case 5:
        return generate(depth + 1) + "|" + generate(depth + 1);
      case 6:
        return group(generate(depth + 1));
      case 7:
        return ATOMS[random.nextInt(92)];
      case 8:
        return ATOMS[random.nextInt(92)] + REPEATS[random.nextInt(19)];
      default:
        return generate(depth + 1) + generate(depth + 1);
    }
  }

  static String group(String inside) {
    String[] opens = {"(", "(", "(?:", "(?i:", "(?-i:", "(?s-i:", "(?P<g" + random.nextInt(1000) + ">", "(?<h>"};
    return random.nextInt(9) == 0 ? inside : pick(opens) + inside + ")";
  }

  static String spoil(String s) {
    int at = random.nextInt(s.length() + 1);
    switch (random.nextInt(3)) {
      case 0:
        return s.substring(0, at);
      case 1:
        return at < s.length() ? s.substring(0, at) + s.substring(at + 1) : s;
      default:
        return s.substring(0, at) + pick(ATOMS) + s.substring(at);
    }
  }

  static Object field(Object of, Class<?> in, String name) throws Exception {
    Field f = in.getDeclaredField(name);
    f.setAccessible(true);
    return f.get(of);
  }

  static int instructions(Pattern p) throws Exception {
    Object re2 = field(p, Pattern.class, "re2");
    Object prog = field(re2, re2.getClass(), "prog");
    return (Integer) field(prog, prog.getClass(), "instSize");
  }

  static String line(String pattern) throws Exception {
    Pattern p;
    try {
      p = Pattern.compile(pattern);
    } catch (PatternSyntaxException e) {
      return "!" + e.getDescription() + "\t" + pattern;
    }
    if (instructions(p) > INSTRUCTIONS_MAX) {
      return null;
    }
    long bits = 0;
    for (int i = 0; i < NAMES.length; i++) {
      bits |= p.matcher(NAMES[i]).matches() ? 1L << i : 0;
    }
    return String.format("%016x\t%s", bits, pattern);
  }

  // RE2J never ends under (?i) with a range that has a letter whose folding does not lead back to it (U+1C88 on Java 17):
  // such a pattern is left out.
  @SuppressWarnings("deprecation")
  static String lineInTime(String pattern) throws Exception {
    String[] out = new String[1];
    Thread t = new Thread(() -> {
      try {
        out[0] = line(pattern);
      } catch (Exception e) {
        throw new IllegalStateException(pattern, e);
      }
    });
    t.setDaemon(true);
    t.start();
    t.join(3000);
    if (t.isAlive()) {
      System.err.println("left out, RE2J does not end: " + pattern);
      t.stop();
    }
    return out[0];
  }

  static boolean printable(String s) {
    return !s.isEmpty() && s.chars().allMatch(c -> c >= ' ') && StandardCharsets.UTF_8.newEncoder().canEncode(s);
  }

  @SuppressWarnings("unchecked")
  static List<String> chosen() throws Exception {
    List<String> out = new ArrayList<>();
    Class<?> tables = Class.forName("com.google.re2j.UnicodeTables");
    Set<String> names = new TreeSet<>();
    names.add("Any");
    names.addAll(((Map<String, ?>) field(null, tables, "CATEGORIES")).keySet());
    names.addAll(((Map<String, ?>) field(null, tables, "SCRIPTS")).keySet());
    for (String n : names) {
      out.add("\\p{" + n + "}.*");
      out.add("(?i)[^\\p{^" + n + "}]");
    }
    String letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (String c : (letters + letters.toLowerCase() + "0123456789!\"#%&'/:;<=>@`~").split("")) {
      for (String form : new String[] {"\\%s", "\\p%s", "[\\%s]", "(?%s)a", "(?%s:A)", "a%s", "(?i)%s"}) {
        out.add(String.format(form, c));
      }
    }
    for (String c : "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit".split(" ")) {
      out.add("[[:" + c + ":]]");
      out.add("[[:^" + c + ":]]");
      out.add("(?i)[[:" + c + ":]]");
      out.add("(?i)[^[:^" + c + ":]k]");
    }
    for (String a : ATOMS) {
      out.add(a);
      out.add("(?i)" + a);
      out.add("a" + a + "b");
      out.add(a + "*");
      out.add("(?:" + a + ")+");
      out.add("(?i)[" + a + "]+");
      out.add("[^" + a + "-z]");
      out.add("a|" + a);
    }
    for (String r : REPEATS) {
      out.add(r);
      out.add("a" + r);
      out.add("(a|b)" + r);
      out.add("(?:a?b?)" + r + "c?");
      out.add("^" + r + "a");
      out.add("(" + r + ")");
      out.add("a|" + r);
      for (String r2 : new String[] {"*", "?", "{2}"}) {
        out.add("a" + r + r2);
        out.add("(?:a" + r + ")" + r2);
      }
    }
    out.add("a{1000}");
    out.add("a{0,1000}");
    out.add("(?:a{30}){30}|b");
    out.add("(a*)*b");
    out.add("(a|aa)+$");
    return out;
  }

  public static void main(String[] args) throws Exception {
    PrintStream out = new PrintStream(System.out, false, "UTF-8");
    Set<String> patterns = new LinkedHashSet<>(chosen());
    int size = patterns.size() + Integer.parseInt(args[0]);
    random = new Random(Long.parseLong(args[1]));
    while (patterns.size() < size) {
      String s = generate(0);
      if (s.length() < 120) {
        patterns.add(random.nextInt(5) == 0 ? spoil(s) : s);
      }
    }
    out.println("# Written by tests/golden/topic_regex.java from RE2J 1.8.");
    out.println("names\t" + String.join(" ", NAMES));
    for (String s : patterns) {
      String line = printable(s) ? lineInTime(s) : null;
      if (line != null) {
        out.println(line);
      }
    }
    out.flush();
  }
}
