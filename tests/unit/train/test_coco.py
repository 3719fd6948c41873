"""Which of COCO's pictures may be trained on."""

from deploy.models.train.coco import chosen


def test_only_pictures_whose_licence_allows_it_are_chosen() -> None:
    images = [
        {"id": number, "file_name": f"{number}.jpg", "license": licence, "flickr_url": "https://example.org"}
        for number, licence in enumerate([1, 2, 3, 4, 5, 6, 7, 8, 4])
    ]
    people = [
        {"image_id": number, "category_id": 1, "bbox": [1, 2, 10, 20], "iscrowd": number % 2} for number in range(8)
    ]
    car = {"image_id": 8, "category_id": 3, "bbox": [0, 0, 1, 1], "iscrowd": 0}
    standing = {"image_id": 3, "category_id": 1, "bbox": [5, 5, 5, 5], "iscrowd": 0}
    found = chosen({"images": images, "annotations": [*people, car, standing]}, {f"{n}.jpg" for n in range(9)})
    assert [(entry["file"], entry["licence"]) for entry in found] == [
        ("3.jpg", "CC BY 2.0"),
        ("6.jpg", "No known copyright restrictions"),
    ]
    assert (found[0]["people"], found[0]["crowd"]) == ([[5, 5, 10, 10]], [[1, 2, 11, 22]])


def test_a_picture_that_is_not_there_is_left_out() -> None:
    image = {"id": 1, "file_name": "1.jpg", "license": 4, "flickr_url": "https://example.org"}
    person = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 20], "iscrowd": 0}
    assert not chosen({"images": [image], "annotations": [person]}, set())
