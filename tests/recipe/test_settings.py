from jaxrcnn.recipe.settings import Remark, Setting, describe


def test_a_table_with_one_column_each_for_names_values_and_reasons():
    found = [
        Setting("data.classes", ("cat", "dog"), "in the order of the data"),
        Remark("2.0% of the boxes are missed"),
        Setting("train.epochs", 12.0, "for 300 images"),
        Setting("model.anchors.sizes", ((8.0,), (16.0,)), "smaller"),
        Setting("train.freeze", (), "no layer"),
    ]
    assert describe(found) == [
        "  data.classes         cat dog  in the order of the data",
        "  2.0% of the boxes are missed",
        "  train.epochs         12       for 300 images",
        "  model.anchors.sizes  8 16     smaller",
        "  train.freeze         none     no layer",
    ]
    assert describe([]) == []


def test_values_are_as_the_command_line_takes_them():
    found = [Setting("data.classes", ("red cell", "it's", "猫", "a\nb"), "")]
    assert describe(found) == ["""  data.classes  'red cell' 'it'"'"'s' 猫 'a b'  """]


def test_long_values_are_cut_and_do_not_push_others_aside():
    found = [Setting("a", tuple(f"c{i}" for i in range(999)), "many"), Setting("b", 1, "one")]
    first, second = describe(found)
    assert first.endswith("c18 c19 ... (999 in all)  many")
    assert second == f"  b  {'1':40}  one"
